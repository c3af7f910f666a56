//! 電話用切り分け表: what a person at the telephone reads out, why it is so, what to do. The pages'
//! numbers and sentences are read from the sources of the gateway, the browsers' words from the
//! fault lab, which makes each of them for real.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use syn::punctuated::Punctuated;
use syn::visit::Visit;
use syn::{Arm, Expr, ExprStruct, ImplItem, Item, ItemFn, Pat, Token};

use crate::catalogue::{Sentence, called, entries, functions, parsed, said};
use crate::fault_lab::faults;

/// Where it stands below `docs`.
pub const PATH: &str = "ja/phone-triage.md";

const HEAD: &str = "\
# 電話用切り分け表

画面に出ている番号または文字を読み上げてもらい、表で探します。原因が分からない場合は、サーバで `orca-gateway diagnose`、認証局または別のLinuxの端末で
`orca-catool diagnose https://アドレス:8000` を実行します。「練習」の名前は `fault-lab 名前` で再現できます。

`cargo run -p orca-e2e --bin message-catalogue` がプログラムの文言から作成します。手で編集しません。

## 番号のある画面(orca-gatewayの案内画面)

| 番号 | 画面の文 | 原因 | 対処(端末) | 練習 |
|---|---|---|---|---|
";

const BROWSERS: &str = "
## 番号のない画面(ブラウザのエラー、画面に出ない症状)

Chrome・Edgeの文字、Firefoxの文字の順です。`ERR_BAD_SSL_CLIENT_AUTH_CERT` は `GATEWAY_CLIENT_AUTH=strict` のときの拒否で、ブラウザは理由を区別しません。
サーバのアクセスログか `orca-catool diagnose` で確認します。

| 画面の文字・症状 | 原因 | 対処 | 練習 |
|---|---|---|---|
";

/// The table as Markdown.
///
/// # Errors
///
/// When a source cannot be read, or is not as this reader knows it.
pub fn markdown(root: &Path) -> anyhow::Result<String> {
    let mut text = HEAD.to_owned();
    let source = root.join("crates/orca-gateway/src");
    let mut rows = pages(&source)?;
    rows.sort();
    for (number, page) in rows {
        let exercise = exercise(&number);
        let [title, reason, steps] = page;
        text.push_str(&format!(
            "| {number} | {title} | {reason} | {steps} | {exercise} |\n"
        ));
    }
    text.push_str(BROWSERS);
    let findings = entries(root, "orca-diagnosis")?;
    for fault in faults().filter(|fault| !fault.is_of_server() && !fault.symptom.starts_with("E-"))
    {
        let entry = findings.get(fault.finding).context(fault.finding)?;
        let first = |sentences: &[Sentence]| {
            let words =
                |sentence: &&Sentence| fault.japanese.iter().any(|word| sentence.ja.contains(word));
            let fitting = sentences.iter().find(words).or_else(|| sentences.first());
            fitting.map(plain).unwrap_or_default()
        };
        text.push_str(&format!(
            "| {} | {} | {} | `{}` |\n",
            screen(fault.symptom),
            first(&entry.message),
            first(&entry.remedy),
            fault.name
        ));
    }
    Ok(text)
}

fn exercise(number: &str) -> String {
    let faults = faults().filter(|fault| fault.symptom == number);
    let names: Vec<String> = faults.map(|fault| format!("`{}`", fault.name)).collect();
    names.join("<br>")
}

/// Words that a browser shows, as code.
fn screen(symptom: &str) -> String {
    let words = symptom.split(", ").map(|word| match word.is_ascii() {
        true => format!("`{word}`"),
        false => word.to_owned(),
    });
    words.collect::<Vec<_>>().join("<br>")
}

/// Number, and title, reason and steps, of every page.
fn pages(source: &Path) -> anyhow::Result<Vec<(String, [String; 3])>> {
    let numbers = numbers(&parsed(&source.join("identity.rs"))?)?;
    let file = parsed(&source.join("explain/texts.rs"))?;
    let functions = functions(&file);
    let judge = functions.get("of_refusal").context("of_refusal")?;
    let mut arms = Arms(Vec::new());
    arms.visit_block(&judge.block);
    let mut pages = Vec::new();
    for arm in &arms.0 {
        for cause in variants(&arm.pat) {
            if let Some(number) = numbers.get(&cause) {
                let page = page(&functions, &arm.body).context(cause)?;
                pages.push((number.clone(), page));
            }
        }
    }
    anyhow::ensure!(pages.len() >= numbers.len(), "a number has no page");
    Ok(pages)
}

/// `Cause::Expired` to `E-102`.
fn numbers(file: &syn::File) -> anyhow::Result<BTreeMap<String, String>> {
    let functions = file.items.iter().filter_map(|item| match item {
        Item::Impl(block) => Some(&block.items),
        _ => None,
    });
    let number = functions.flatten().find_map(|item| match item {
        ImplItem::Fn(function) if function.sig.ident == "number" => Some(&function.block),
        _ => None,
    });
    let mut arms = Arms(Vec::new());
    arms.visit_block(number.context("fn number")?);
    let mut numbers = BTreeMap::new();
    for arm in &arms.0 {
        let mut literal = Literal(None);
        literal.visit_expr(&arm.body);
        for cause in variants(&arm.pat) {
            numbers.extend(literal.0.clone().map(|number| (cause, number)));
        }
    }
    anyhow::ensure!(numbers.len() >= 13, "only {} numbers", numbers.len());
    Ok(numbers)
}

/// The sentences of one `Texts { title, reason, steps }`, wherever the expression leads.
fn page(functions: &BTreeMap<String, ItemFn>, expression: &Expr) -> anyhow::Result<[String; 3]> {
    if let Expr::Call(call) = expression {
        let function = called(call).and_then(|name| functions.get(&name));
        let block = &function.context("an unknown function")?.block;
        let block = Expr::Block(syn::ExprBlock {
            attrs: Vec::new(),
            label: None,
            block: *block.clone(),
        });
        return page(functions, &block);
    }
    let mut pages = Pages(Vec::new());
    pages.visit_expr(expression);
    let page = pages.0.first().context("no page")?;
    let field = |name: &str| -> Vec<Sentence> {
        let field = page.fields.iter().find(|field| match &field.member {
            syn::Member::Named(member) => member == name,
            syn::Member::Unnamed(_) => false,
        });
        let parts = field.map(|field| elements(&field.expr)).unwrap_or_default();
        parts
            .iter()
            .flat_map(|part| said(functions, part))
            .collect()
    };
    let (title, mut reason, steps) = (field("title"), field("reason"), field("steps"));
    anyhow::ensure!(!title.is_empty() && !steps.is_empty(), "half a page");
    if reason.is_empty() {
        // It stands before the page, in a variable.
        reason = said(functions, expression);
        reason.retain(|sentence| !title.contains(sentence) && !steps.contains(sentence));
    }
    Ok([title, reason, steps].map(|sentences| {
        let sentences: Vec<String> = sentences.iter().map(plain).collect();
        sentences.join("<br>")
    }))
}

/// The elements of `vec![…]`, or the expression itself.
fn elements(expression: &Expr) -> Vec<Expr> {
    if let Expr::Macro(list) = expression
        && list.mac.path.is_ident("vec")
    {
        let elements = list
            .mac
            .parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated);
        return elements.into_iter().flatten().collect();
    }
    vec![expression.clone()]
}

struct Arms(Vec<Arm>);

impl<'ast> Visit<'ast> for Arms {
    fn visit_arm(&mut self, arm: &'ast Arm) {
        self.0.push(arm.clone());
    }
}

struct Pages(Vec<ExprStruct>);

impl<'ast> Visit<'ast> for Pages {
    fn visit_expr_struct(&mut self, page: &'ast ExprStruct) {
        if page.path.is_ident("Texts") {
            self.0.push(page.clone());
        }
    }
}

struct Literal(Option<String>);

impl<'ast> Visit<'ast> for Literal {
    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        self.0 = Some(literal.value());
    }
}

fn variants(pattern: &Pat) -> Vec<String> {
    match pattern {
        Pat::Or(or) => or.cases.iter().flat_map(variants).collect(),
        Pat::Path(path) => {
            let last = path.path.segments.last();
            last.map(|segment| segment.ident.to_string())
                .into_iter()
                .collect()
        }
        _ => Vec::new(),
    }
}

/// The Japanese sentence; what stands in braces is not known here.
fn plain(sentence: &Sentence) -> String {
    let mut text = String::new();
    for piece in sentence.ja.split('{') {
        match piece.split_once('}') {
            Some((_, rest)) => text.push_str(&format!("…{rest}")),
            None => text.push_str(piece),
        }
    }
    text.replace('|', "\\|")
}
