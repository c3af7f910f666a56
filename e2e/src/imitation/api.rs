//! The API with Basic authentication, as external programs call it.

use http::HeaderValue;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use hyper::body::Incoming;
use serde_json::json;

use super::Body;
use super::html;
use super::json as json_response;
use super::pages;
use super::respond;

/// `ormaster:ormaster`.
const AUTHORIZATION: &str = "Basic b3JtYXN0ZXI6b3JtYXN0ZXI=";

/// Answers one call; only `patientgetv2` exists.
pub(super) fn answer(name: &str, request: &Request<Incoming>) -> Response<Body> {
    let authorization = request.headers().get(header::AUTHORIZATION);
    if authorization.is_none_or(|value| value != AUTHORIZATION) {
        return unauthorized();
    }
    if name != "patientgetv2" {
        return html(StatusCode::NOT_FOUND, pages::not_found());
    }
    let id = request
        .uri()
        .query()
        .into_iter()
        .flat_map(|query| query.split('&'))
        .find_map(|pair| pair.strip_prefix("id="))
        .filter(|id| id.len() <= 20 && id.bytes().all(|byte| byte.is_ascii_digit()));
    match id {
        Some(id) if wants_json(request) => patient_json(id),
        Some(id) => patient_xml(id),
        None => no_patient(),
    }
}

fn wants_json(request: &Request<Incoming>) -> bool {
    let accept = request.headers().get(header::ACCEPT);
    let query = request.uri().query().unwrap_or_default();
    query.split('&').any(|pair| pair == "format=json")
        || accept
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains("application/json"))
}

fn unauthorized() -> Response<Body> {
    let mut response = respond(StatusCode::UNAUTHORIZED, "text/plain", "Auth Error".into());
    response.headers_mut().insert(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Basic realm=\"orca\""),
    );
    response
}

fn patient_json(id: &str) -> Response<Body> {
    json_response(
        StatusCode::OK,
        &json!({
            "patientinfores": {
                "Api_Result": "00",
                "Api_Result_Message": "処理終了",
                "Patient_Information": {
                    "Patient_ID": id,
                    "WholeName": "山田 太郎",
                    "WholeName_inKana": "ヤマダ タロウ",
                    "BirthDate": "1975-01-01",
                    "Sex": "1",
                },
            },
        }),
    )
}

fn patient_xml(id: &str) -> Response<Body> {
    xml(format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<xmlio2>
  <patientinfores type="record">
    <Api_Result type="string">00</Api_Result>
    <Api_Result_Message type="string">処理終了</Api_Result_Message>
    <Patient_Information type="record">
      <Patient_ID type="string">{id}</Patient_ID>
      <WholeName type="string">山田 太郎</WholeName>
      <WholeName_inKana type="string">ヤマダ タロウ</WholeName_inKana>
      <BirthDate type="string">1975-01-01</BirthDate>
      <Sex type="string">1</Sex>
    </Patient_Information>
  </patientinfores>
</xmlio2>
"#
    ))
}

fn no_patient() -> Response<Body> {
    xml(r#"<?xml version="1.0" encoding="UTF-8"?>
<xmlio2>
  <patientinfores type="record">
    <Api_Result type="string">10</Api_Result>
    <Api_Result_Message type="string">該当患者がありません</Api_Result_Message>
  </patientinfores>
</xmlio2>
"#
    .to_owned())
}

fn xml(document: String) -> Response<Body> {
    respond(
        StatusCode::OK,
        "application/xml; charset=utf-8",
        document.into(),
    )
}
