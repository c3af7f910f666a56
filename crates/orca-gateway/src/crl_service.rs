//! `/.well-known/orca-mtls/crl`: anybody may deliver a revocation list, because it is signed, and
//! anybody may fetch the newest ones. What cannot be taken gets one answer whatever the reason; the
//! event log has the reason.

mod lane;
mod strikes;
mod turn;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, request};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use orca_messages::{Finding, Text, text};
use tokio::time::timeout;

use crate::body::{self, ResponseBody};
use crate::crl_intake::{Accepted, Intake, MOST_OCTETS, Unwanted};
use crate::log::EventLog;
use crate::meters::{Meters, Push};
use crate::news::News;
use crate::reload::ListSource;
use lane::{Lane, Seat};
use strikes::Strikes;
use turn::{Turn, Turns};

/// The one path of it.
pub(crate) const PATH: &str = "/.well-known/orca-mtls/crl";

/// RFC 2585 §4.2 keeps application/pkix-crl for one list in DER; this is PEM, and may be several.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/x-pem-file");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, PUT");
const NOT_TAKEN: &str = "not taken\n";

/// Bodies up to this size arrive side by side: some seven thousand revoked certificates.
const SMALL: usize = 256 * 1024;
const SMALL_PLACES: usize = 32;
const SMALL_DEADLINE: Duration = Duration::from_secs(10);
const SMALL_GRACE: Duration = Duration::from_secs(1);
/// A larger one at a time.
const LARGE_PLACES: usize = 1;
/// A client without identity may stay for 30 seconds.
const LARGE_DEADLINE: Duration = Duration::from_secs(25);
const LARGE_GRACE: Duration = Duration::from_secs(10);
/// How long a body waits for a place.
const PATIENCE: Duration = Duration::from_secs(12);
/// When to come again after a crowd.
const SOON: Duration = Duration::from_secs(2);

/// Takes lists and gives them out.
pub(crate) struct CrlService {
    intake: Arc<Intake>,
    small: Arc<Lane>,
    large: Arc<Lane>,
    turns: Arc<Turns>,
    strikes: Strikes,
    told: News,
    meters: Arc<Meters>,
    log: EventLog,
}

impl CrlService {
    /// Hands on to `intake` what is sent.
    pub(crate) fn new(intake: Arc<Intake>, meters: Arc<Meters>, log: EventLog) -> Self {
        Self {
            intake,
            small: Lane::new(SMALL_PLACES, SMALL_GRACE, PATIENCE),
            large: Lane::new(LARGE_PLACES, LARGE_GRACE, PATIENCE),
            turns: Arc::default(),
            strikes: Strikes::default(),
            told: News::default(),
            meters,
            log,
        }
    }

    /// Answers a request for [`PATH`].
    pub(crate) async fn answer(
        &self,
        address: IpAddr,
        request: Request<Incoming>,
    ) -> Response<ResponseBody> {
        let (parts, mut body) = request.into_parts();
        let response = match parts.method {
            Method::GET | Method::HEAD => self.newest(&parts).await,
            Method::PUT => self.put(address, &mut body).await,
            _ => {
                let mut response = bare(StatusCode::METHOD_NOT_ALLOWED);
                response.headers_mut().insert(header::ALLOW, METHODS);
                response
            }
        };
        body::let_go(body, parts.version);
        response
    }

    async fn newest(&self, request: &request::Parts) -> Response<ResponseBody> {
        let published = self.intake.published().await;
        let Some((pem, tag)) = published.content() else {
            return bare(StatusCode::NOT_FOUND);
        };
        let mut response = if has_tag(&request.headers, tag) {
            bare(StatusCode::NOT_MODIFIED)
        } else {
            let content = match request.method {
                Method::HEAD => body::empty(),
                _ => body::full(pem.clone()),
            };
            let mut response = Response::new(content);
            let fields = response.headers_mut();
            fields.insert(header::CONTENT_TYPE, MEDIA_TYPE);
            fields.insert(header::CONTENT_LENGTH, HeaderValue::from(pem.len()));
            response
        };
        let fields = response.headers_mut();
        fields.insert(header::ETAG, tag.clone());
        let no_cache = HeaderValue::from_static("no-cache");
        fields.insert(header::CACHE_CONTROL, no_cache);
        response
    }

    async fn put(&self, address: IpAddr, body: &mut Incoming) -> Response<ResponseBody> {
        let outcome = match self.receive(address, body).await {
            Ok((octets, place)) => {
                let source = ListSource::Pushed(address.to_string());
                let outcome = self.intake.offer(octets, source).await;
                drop(place);
                outcome.map_err(Refused::Unwanted)
            }
            Err(refused) => Err(refused),
        };
        match outcome {
            Ok(accepted) => {
                self.meters.pushed(match accepted {
                    Accepted::Taken => Push::Taken,
                    Accepted::Unchanged => Push::Unchanged,
                });
                bare(StatusCode::NO_CONTENT)
            }
            Err(refused) => self.refuse(address, refused),
        }
    }

    /// The whole body, with its place.
    async fn receive(
        &self,
        address: IpAddr,
        body: &mut Incoming,
    ) -> Result<(Bytes, Place), Refused> {
        let declared = body.size_hint().exact().unwrap_or_default();
        let declared = usize::try_from(declared).unwrap_or(usize::MAX);
        if declared > MOST_OCTETS {
            return Err(Refused::TooLarge);
        }
        let seat = self.small.enter().await.ok_or(Refused::Crowded)?;
        let mut octets = BytesMut::with_capacity(declared.min(SMALL));
        let first = read(body, &mut octets, SMALL);
        if let Portion::Whole = arrives(first, &seat, SMALL_DEADLINE).await? {
            seat.settle();
            return Ok((octets.freeze(), Place::small(seat)));
        }
        if !self.intake.names_authority(&octets) {
            return Err(Refused::Foreign);
        }
        if let Some(pause) = self.strikes.barred(address, Instant::now()) {
            return Err(Refused::Barred(pause));
        }
        // Looked at before the wait, which would keep a place for small ones.
        let turn = self.turns.take(address).ok_or(Refused::Crowded)?;
        let large = self.large.enter().await.ok_or(Refused::Crowded)?;
        drop(seat);
        octets.reserve(declared.saturating_sub(octets.len()));
        let rest = read(body, &mut octets, MOST_OCTETS);
        match arrives(rest, &large, LARGE_DEADLINE).await? {
            Portion::Whole => {
                large.settle();
                Ok((octets.freeze(), Place::large(large, turn)))
            }
            Portion::More => Err(Refused::TooLarge),
        }
    }

    /// Only how often it happens can be seen in the answer, and whether it may help to try again.
    fn refuse(&self, address: IpAddr, refused: Refused) -> Response<ResponseBody> {
        self.meters.pushed(Push::Refused);
        self.tell(address, refused);
        match refused {
            Refused::Barred(pause) => return later(StatusCode::TOO_MANY_REQUESTS, pause),
            Refused::Crowded => return later(StatusCode::SERVICE_UNAVAILABLE, SOON),
            Refused::Unwanted(reason) if reason.is_passing() => {
                return later(StatusCode::SERVICE_UNAVAILABLE, SOON);
            }
            _ => {}
        }
        if let Some(pause) = self.strikes.note(address, Instant::now()) {
            return later(StatusCode::TOO_MANY_REQUESTS, pause);
        }
        match refused {
            Refused::TooLarge => bare(StatusCode::PAYLOAD_TOO_LARGE),
            Refused::Gone | Refused::Slow => bare(StatusCode::REQUEST_TIMEOUT),
            _ => {
                let mut response = Response::new(body::full(NOT_TAKEN));
                *response.status_mut() = StatusCode::FORBIDDEN;
                let plain = HeaderValue::from_static("text/plain; charset=utf-8");
                response.headers_mut().insert(header::CONTENT_TYPE, plain);
                response
            }
        }
    }

    fn tell(&self, address: IpAddr, refused: Refused) {
        let news = format!("{address} {}", refused.kind());
        if self.told.is_news(&news, Instant::now()) {
            self.log.finding(&refused.finding(address));
        }
    }
}

/// What a whole body keeps while it is looked at.
struct Place {
    _seat: Seat,
    _turn: Option<Turn>,
}

impl Place {
    fn small(seat: Seat) -> Self {
        Self {
            _seat: seat,
            _turn: None,
        }
    }

    fn large(seat: Seat, turn: Turn) -> Self {
        Self {
            _seat: seat,
            _turn: Some(turn),
        }
    }
}

/// Why a body was not taken.
#[derive(Clone, Copy, Debug)]
enum Refused {
    /// It failed too often for a large one.
    Barred(Duration),
    /// No place for it in time.
    Crowded,
    /// Large, and not from an authority of ours.
    Foreign,
    /// The client ended early.
    Gone,
    /// Not there in time, or out of patience while others waited.
    Slow,
    TooLarge,
    Unwanted(Unwanted),
}

impl Refused {
    fn kind(self) -> &'static str {
        match self {
            Self::Barred(_) => "barred",
            Self::Crowded => "crowded",
            Self::Foreign => "foreign",
            Self::Gone => "gone",
            Self::Slow => "slow",
            Self::TooLarge => "too-large",
            Self::Unwanted(reason) => reason.kind(),
        }
    }

    fn phrase(self) -> Text {
        match self {
            Self::Barred(_) => text!("失敗した送信が多すぎます", "too many failures before"),
            Self::Crowded => text!(
                "同時に届いた送信が多すぎます",
                "too many are arriving at a time"
            ),
            Self::Foreign => text!(
                "CA_CRT の認証局のCRLではありません",
                "it is not of an authority in CA_CRT"
            ),
            Self::Gone => text!("途中で切断されました", "its sender ended early"),
            Self::Slow => text!("受信に時間がかかりすぎます", "it arrives too slowly"),
            Self::TooLarge => {
                let most = MOST_OCTETS / (1024 * 1024);
                text!(
                    "大きすぎます({most}MiBまで)",
                    "it is larger than {most} MiB"
                )
            }
            Self::Unwanted(reason) => reason.phrase(),
        }
    }

    fn finding(self, address: IpAddr) -> Finding {
        let Text { ja, en } = self.phrase();
        Finding::warning(
            "crl-push-refused",
            text!(
                "{address} から送られたCRLを受け取りませんでした({ja})。",
                "a CRL sent by {address} was not taken: {en}"
            ),
            text!(
                "認証局のパソコンからの送信であれば、CA_CRT がその認証局のものか確認し、認証局で orca-catool issue_crl を実行してください。心当たりのない送信元であれば、対処は不要です。",
                "if that is the CA machine, check that CA_CRT is of this CA and run orca-catool issue_crl there; if you do not know the sender, nothing needs to be done"
            ),
        )
    }
}

/// How far a body was read.
enum Portion {
    More,
    Whole,
}

/// Reads to the end, or until there is more than `most`.
async fn read(
    body: &mut Incoming,
    octets: &mut BytesMut,
    most: usize,
) -> Result<Portion, hyper::Error> {
    while octets.len() <= most {
        match body.frame().await {
            None => return Ok(Portion::Whole),
            Some(frame) => {
                if let Ok(data) = frame?.into_data() {
                    octets.extend_from_slice(&data);
                }
            }
        }
    }
    Ok(Portion::More)
}

async fn arrives(
    reading: impl Future<Output = Result<Portion, hyper::Error>>,
    seat: &Seat,
    deadline: Duration,
) -> Result<Portion, Refused> {
    tokio::select! {
        read = timeout(deadline, reading) => match read {
            Ok(Ok(portion)) => Ok(portion),
            Ok(Err(_)) => Err(Refused::Gone),
            Err(_) => Err(Refused::Slow),
        },
        () = seat.sent_away() => Err(Refused::Slow),
    }
}

/// RFC 9110 §13.1.2: weak comparison, any of a list, or `*`.
fn has_tag(fields: &HeaderMap, tag: &HeaderValue) -> bool {
    let wanted = fields.get_all(header::IF_NONE_MATCH).iter();
    wanted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|one| one.trim().trim_start_matches("W/"))
        .any(|one| one == "*" || one.as_bytes() == tag.as_bytes())
}

fn later(status: StatusCode, pause: Duration) -> Response<ResponseBody> {
    let mut response = bare(status);
    // Rounded up: whoever comes then is welcome.
    let seconds = HeaderValue::from(pause.as_secs() + 1);
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response
}

fn bare(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(body::empty());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_every_form() {
        let tag = HeaderValue::from_static("\"a\"");
        for (field, found) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
        ] {
            let mut fields = HeaderMap::new();
            fields.insert(header::IF_NONE_MATCH, HeaderValue::from_static(field));
            assert_eq!(has_tag(&fields, &tag), found, "{field}");
        }
        assert!(!has_tag(&HeaderMap::new(), &tag));
    }
}
