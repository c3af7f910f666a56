//! HTTP/1.1 on one connection (RFC 9112). hyper holds two buffers of 8 KiB for every connection, so it
//! is there only while something happens: a connection that rests between two requests keeps its
//! socket and its TLS, and gets a new hyper with the first octet of the next request.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt;
use hyper::server::conn::http1::{Builder, UpgradeableConnection};
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::body::ResponseBody;
use crate::stream::{Activity, Lent};

/// A connection that is served, or rests.
pub(crate) struct Http1<S: Answers> {
    state: State<S>,
    heads: Heads,
    limits: Limits,
}

/// Answers requests, without fail.
pub(crate) trait Answers:
    Service<Request<Incoming>, Response = Response<ResponseBody>, Error = Infallible> + Unpin
{
}

impl<S> Answers for S where
    S: Service<Request<Incoming>, Response = Response<ResponseBody>, Error = Infallible> + Unpin
{
}

/// What a client may take before it gets an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Octets of a request head.
    pub(crate) head: usize,
    /// From one request to the next.
    pub(crate) patience: Duration,
    /// After so much of that the connection rests.
    pub(crate) quiet: Duration,
}

enum State<S: Answers> {
    Served(Pin<Box<UpgradeableConnection<TokioIo<Lent>, S>>>),
    Resting {
        lent: Lent,
        answers: S,
        until: Instant,
    },
    Over,
}

impl<S: Answers> Http1<S> {
    /// Serves what comes over `lent`.
    pub(crate) fn new(lent: Lent, answers: S, limits: Limits) -> Self {
        let heads = Heads::new(Arc::clone(lent.activity()), limits.quiet);
        Self {
            state: served(lent, answers, heads.clone(), limits),
            heads,
            limits,
        }
    }

    /// Ends after the request that is under way.
    pub(crate) fn graceful_shutdown(&mut self) {
        match &mut self.state {
            State::Served(connection) => connection.as_mut().graceful_shutdown(),
            State::Resting { .. } => self.state = State::Over,
            State::Over => {}
        }
    }

    /// Lets hyper go, which waits for a request head. What it has of one goes to its successor.
    fn rest(&mut self) {
        let State::Served(connection) = std::mem::replace(&mut self.state, State::Over) else {
            return;
        };
        let Some(parts) = Pin::into_inner(connection).into_parts() else {
            return;
        };
        let (mut lent, answers) = (parts.io.into_inner(), parts.service);
        self.state = if parts.read_buf.is_empty() {
            State::Resting {
                lent,
                answers,
                until: Instant::now() + self.limits.patience,
            }
        } else {
            lent.read_first(parts.read_buf);
            served(lent, answers, self.heads.clone(), self.limits)
        };
    }

    #[cfg(test)]
    fn is_resting(&self) -> bool {
        matches!(self.state, State::Resting { .. })
    }

    fn wake(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Over);
        if let State::Resting { lent, answers, .. } = state {
            self.state = served(lent, answers, self.heads.clone(), self.limits);
        }
    }
}

fn served<S: Answers>(lent: Lent, answers: S, heads: Heads, limits: Limits) -> State<S> {
    State::Served(Box::pin(
        Builder::new()
            .timer(heads)
            .header_read_timeout(limits.patience)
            .max_buf_size(limits.head)
            .serve_connection(TokioIo::new(lent), answers)
            .with_upgrades(),
    ))
}

impl<S: Answers> Future for Http1<S> {
    type Output = hyper::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                State::Served(connection) => {
                    let ended = connection.as_mut().poll(cx);
                    if ended.is_ready() || !this.heads.take_rest() {
                        return ended;
                    }
                    this.rest();
                }
                State::Resting { lent, until, .. } => {
                    if lent.poll_readable(cx).is_pending() {
                        return this.heads.poll_alarm(cx, *until).map(Ok);
                    }
                    this.wake();
                }
                State::Over => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// hyper's timer, which it asks for one thing only: the time a request head may take. That is how we
/// know that it waits for one. One alarm of the runtime serves all heads of a connection; most requests
/// come before it has to be set again.
#[derive(Clone)]
struct Heads(Arc<Clockwork>);

struct Clockwork {
    activity: Arc<Activity>,
    quiet: Duration,
    alarm: Mutex<Pin<Box<Sleep>>>,
    rest: AtomicBool,
}

impl Heads {
    fn new(activity: Arc<Activity>, quiet: Duration) -> Self {
        Self(Arc::new(Clockwork {
            activity,
            quiet,
            alarm: Mutex::new(Box::pin(sleep_until(Instant::now() + quiet))),
            rest: AtomicBool::new(false),
        }))
    }

    /// Whether the connection is to rest now.
    fn take_rest(&self) -> bool {
        self.0.rest.swap(false, Ordering::Relaxed)
    }

    /// Waits until `moment`.
    fn poll_alarm(&self, cx: &mut Context<'_>, moment: Instant) -> Poll<()> {
        let mut alarm = self.0.alarm.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if alarm.deadline() > moment || alarm.is_elapsed() {
                alarm.as_mut().reset(moment);
            }
            match alarm.as_mut().poll(cx) {
                Poll::Ready(()) if Instant::now() < moment => {}
                polled => return polled,
            }
        }
    }
}

impl rt::Timer for Heads {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Head {
            heads: self.clone(),
            quiet: Instant::now() + self.0.quiet,
            deadline: deadline.into(),
        })
    }
}

/// The wait for one head.
struct Head {
    heads: Heads,
    quiet: Instant,
    deadline: Instant,
}

impl Future for Head {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let heads = &self.heads;
        if self.quiet < self.deadline {
            if heads.poll_alarm(cx, self.quiet).is_pending() {
                return Poll::Pending;
            }
            if heads.0.activity.is_quiet() {
                heads.0.rest.store(true, Ordering::Relaxed);
                return Poll::Pending;
            }
        }
        heads.poll_alarm(cx, self.deadline)
    }
}

impl rt::Sleep for Head {}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use hyper::service::service_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::*;
    use crate::body;
    use crate::stream::{Owned, Pace, Stream, lend};

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(1);
    /// More than a socket takes.
    const MUCH: usize = 16 << 20;

    #[tokio::test]
    async fn a_connection_rests_and_is_served_again() {
        let (mut client, _owned, lent) = connected().await;
        let mut http = Http1::new(lent, answers(), limits(LONG, SHORT));
        for _ in 0..3 {
            ask(&mut client, &mut http, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            rested(&mut http).await;
        }
        drop(client);
        http.await.unwrap();
    }

    #[tokio::test]
    async fn half_a_head_that_came_along_is_not_lost() {
        let (mut client, _owned, lent) = connected().await;
        let mut http = Http1::new(lent, answers(), limits(LONG, LONG));
        let both = "GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nho";
        ask(&mut client, &mut http, both).await;
        http.rest();
        assert!(!http.is_resting());
        ask(&mut client, &mut http, "st: a\r\n\r\n").await;
    }

    #[tokio::test]
    async fn who_dawdles_over_a_head_is_not_waited_for() {
        let (mut client, _owned, lent) = connected().await;
        let mut http = Http1::new(lent, answers(), limits(SHORT * 50, SHORT));
        client.write_all(b"GET / HTTP/1.1\r\nho").await.unwrap();
        assert!((&mut http).await.unwrap_err().is_timeout());
    }

    #[tokio::test]
    async fn rest_is_over_after_the_patience_and_at_a_shutdown() {
        for shutdown in [false, true] {
            let (_client, _owned, lent) = connected().await;
            let patience = if shutdown { LONG } else { SHORT * 50 };
            let mut http = Http1::new(lent, answers(), limits(patience, SHORT));
            rested(&mut http).await;
            if shutdown {
                http.graceful_shutdown();
            }
            http.await.unwrap();
        }
    }

    #[tokio::test]
    async fn an_answer_that_has_not_left_keeps_a_connection_from_resting() {
        let (mut client, _owned, lent) = connected().await;
        let large = service_fn(|_: Request<Incoming>| {
            std::future::ready(Ok(Response::new(body::full(vec![0; MUCH]))))
        });
        let mut http = Http1::new(lent, large, limits(LONG, SHORT));
        let head = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        client.write_all(head).await.unwrap();
        let resting = timeout(SHORT * 50, rested(&mut http)).await;
        assert!(resting.is_err());
        let mut answer = Vec::new();
        let (ended, read) = tokio::join!(http, client.read_to_end(&mut answer));
        ended.unwrap();
        assert!(read.unwrap() > MUCH);
    }

    fn answers() -> impl Answers {
        service_fn(|_: Request<Incoming>| std::future::ready(Ok(Response::new(body::full("here")))))
    }

    fn limits(patience: Duration, quiet: Duration) -> Limits {
        Limits {
            head: 8192,
            patience,
            quiet,
        }
    }

    async fn ask<S: Answers>(client: &mut TcpStream, http: &mut Http1<S>, octets: &str) {
        client.write_all(octets.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let answered = async {
            while !answer.ends_with(b"here") {
                assert!(client.read_buf(&mut answer).await.unwrap() > 0);
            }
        };
        tokio::select! {
            ended = http => panic!("{ended:?}"),
            () = answered => {}
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }

    async fn rested<S: Answers>(http: &mut Http1<S>) {
        poll_fn(|cx| match Pin::new(&mut *http).poll(cx) {
            Poll::Ready(ended) => panic!("{ended:?}"),
            Poll::Pending if http.is_resting() => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        })
        .await;
    }

    async fn connected() -> (TcpStream, Owned, Lent) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, server) = tokio::join!(client, listener.accept());
        let (owned, lent) = lend(Stream::Plain(server.unwrap().0), Pace::AtOnce);
        (client.unwrap(), owned, lent)
    }
}
