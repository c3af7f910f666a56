//! The pages of the imitation, in Japanese like those of the application.

/// The log-in form, with a complaint above it where there is one.
pub(super) fn login(complaint: Option<&str>) -> String {
    let complaint = complaint
        .map(|text| format!("<p id=\"complaint\" role=\"alert\">{text}</p>\n"))
        .unwrap_or_default();
    page(
        "日医標準レセプトソフト ログイン",
        &format!(
            r#"<h1>日医標準レセプトソフト</h1>
{complaint}<form id="login" method="post" action="/login">
<p><label>オペレータID <input name="operator" autocomplete="username" autofocus></label></p>
<p><label>パスワード <input name="password" type="password" autocomplete="current-password"></label></p>
<p><button type="submit">ログイン</button></p>
</form>"#
        ),
    )
}

/// What an operator sees after logging in.
pub(super) fn main(operator: &str) -> String {
    page(
        "日医標準レセプトソフト 業務メニュー",
        &format!(
            r#"<h1>業務メニュー</h1>
<p id="operator">オペレータ: {operator}</p>
<ul>
<li>11 受付</li>
<li>12 登録</li>
<li>21 診療行為</li>
<li>22 病名</li>
<li>31 収納</li>
<li>42 明細書</li>
</ul>"#
        ),
    )
}

/// Nothing stands at this address.
pub(super) fn not_found() -> String {
    page(
        "ページがありません",
        "<h1>ページがありません</h1>\n<p>アドレスを確認してください。</p>",
    )
}

fn page(title: &str, body: &str) -> String {
    format!(
        r#"<!DOCTYPE html>
<html lang="ja">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body {{ font-family: sans-serif; margin: 3rem auto; max-width: 32rem }} #complaint {{ color: #b00020 }}</style>
</head>
<body>
{body}
</body>
</html>
"#
    )
}
