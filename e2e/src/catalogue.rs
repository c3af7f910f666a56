//! The catalogue of messages, `docs/messages.md`, read from the sources: every id with what is said
//! under it, Japanese and English side by side.
//!
//! Sentences stand in `text!(japanese, english)`; ids are literals in kebab-case. Which belong
//! together is seen from three shapes: the arms of `impl Localize`, `Finding::…(id, message,
//! remedy)`, and `session.warn(id, message, remedy)`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{
    Arm, Expr, ExprCall, ExprLit, ExprMethodCall, File, ImplItem, ItemFn, ItemImpl, Lit, LitStr,
    Macro, Pat, Token,
};

/// The programs and libraries whose messages people read.
const CRATES: [&str; 6] = [
    "orca-conf",
    "orca-diagnosis",
    "orca-pki",
    "orca-ca",
    "orca-catool",
    "orca-gateway",
];

/// A sentence in both languages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Sentence {
    pub(crate) ja: String,
    en: String,
}

/// What is said under an id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) message: Vec<Sentence>,
    pub(crate) remedy: Vec<Sentence>,
}

/// The catalogue as Markdown.
///
/// # Errors
///
/// When a source cannot be read.
pub fn markdown(root: &Path) -> anyhow::Result<String> {
    let mut text = String::from(HEAD);
    for name in CRATES {
        let entries = entries(root, name)?;
        if entries.is_empty() {
            continue;
        }
        text.push_str(&format!("\n## {name}\n"));
        for (id, entry) in entries {
            text.push_str(&format!("\n### `{id}`\n\n"));
            sentences(&mut text, "", &entry.message);
            sentences(&mut text, "→ ", &entry.remedy);
        }
    }
    Ok(text)
}

/// What one of our crates says, by id.
pub(crate) fn entries(root: &Path, name: &str) -> anyhow::Result<BTreeMap<String, Entry>> {
    let mut entries = BTreeMap::new();
    for path in sources(&root.join("crates").join(name).join("src"))? {
        collect(&parsed(&path)?, &mut entries);
    }
    Ok(entries)
}

/// The ids of what is said in a file, or in the files of a folder.
///
/// # Errors
///
/// When a source cannot be read.
pub fn ids(path: &Path) -> anyhow::Result<Vec<String>> {
    let paths = match path.is_dir() {
        true => sources(path)?,
        false => vec![path.to_owned()],
    };
    let mut entries = BTreeMap::new();
    for path in paths {
        let mut file = parsed(&path)?;
        let is_test =
            |item: &syn::Item| matches!(item, syn::Item::Mod(inner) if inner.ident == "tests");
        file.items.retain(|item| !is_test(item));
        collect(&file, &mut entries);
    }
    Ok(entries.into_keys().collect())
}

pub(crate) fn parsed(path: &Path) -> anyhow::Result<File> {
    let source = fs::read_to_string(path)?;
    syn::parse_file(&source).with_context(|| path.display().to_string())
}

/// All sentences of an expression in the order of the source, those of the functions it calls too.
pub(crate) fn said(functions: &BTreeMap<String, ItemFn>, expression: &Expr) -> Vec<Sentence> {
    let mut texts = Texts {
        functions,
        depth: 0,
        found: Vec::new(),
    };
    texts.visit_expr(expression);
    texts.found
}

const HEAD: &str = "\
# Messages

Every id that the programs show in brackets, what they say under it and, after the arrow, what to do. Words in braces stand for
values. Written by `cargo run -p orca-e2e --bin message-catalogue` from the sources; a test keeps it current.
";

fn sentences(text: &mut String, arrow: &str, sentences: &[Sentence]) {
    for Sentence { ja, en } in sentences {
        text.push_str(&format!("- {arrow}{ja}\n  {arrow}{en}\n"));
    }
}

fn sources(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            paths.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn collect(file: &File, entries: &mut BTreeMap<String, Entry>) {
    let functions = functions(file);
    let mut reader = Reader {
        functions: &functions,
        entries,
    };
    reader.visit_file(file);
}

/// Free functions of a file, so that a call in an arm can be followed.
pub(crate) fn functions(file: &File) -> BTreeMap<String, ItemFn> {
    let functions = file.items.iter().filter_map(|item| match item {
        syn::Item::Fn(function) => Some((function.sig.ident.to_string(), function.clone())),
        _ => None,
    });
    functions.collect()
}

struct Reader<'a> {
    functions: &'a BTreeMap<String, ItemFn>,
    entries: &'a mut BTreeMap<String, Entry>,
}

impl Reader<'_> {
    fn add(&mut self, id: &str, message: Vec<Sentence>, remedy: Vec<Sentence>) {
        let entry = self.entries.entry(id.to_owned()).or_default();
        let extend = |known: &mut Vec<Sentence>, new: Vec<Sentence>| {
            for sentence in new {
                if !known.contains(&sentence) {
                    known.push(sentence);
                }
            }
        };
        extend(&mut entry.message, message);
        extend(&mut entry.remedy, remedy);
    }

    /// `id`, `message`, `remedy` in the order of the arguments.
    fn add_call<'e>(&mut self, arguments: impl Iterator<Item = &'e Expr>) {
        let arguments: Vec<&Expr> = arguments.collect();
        let Some(Expr::Lit(ExprLit {
            lit: Lit::Str(id), ..
        })) = arguments.first()
        else {
            return;
        };
        let texts = |index: usize| {
            arguments
                .get(index)
                .map(|argument| self.texts(argument))
                .unwrap_or_default()
        };
        let (message, remedy) = (texts(1), texts(2));
        self.add(&id.value(), message, remedy);
    }

    fn texts(&self, expression: &Expr) -> Vec<Sentence> {
        said(self.functions, expression)
    }

    /// A call of a function that is one match is as good as its arms.
    fn opened(&self, expression: &Expr) -> Vec<(Vec<String>, Expr)> {
        let function = match expression {
            Expr::Call(call) => called(call).and_then(|name| self.functions.get(&name)),
            Expr::Block(block) => match block.block.stmts.as_slice() {
                [syn::Stmt::Expr(inner, None)] => return self.opened(inner),
                _ => None,
            },
            _ => None,
        };
        match function {
            Some(function) => cases(&function.block),
            None => vec![(Vec::new(), expression.clone())],
        }
    }

    fn ids(&self, expression: &Expr) -> Vec<String> {
        let mut ids = Ids {
            functions: self.functions,
            depth: 0,
            found: Vec::new(),
        };
        ids.visit_expr(expression);
        ids.found
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let is_localize = item.trait_.as_ref().is_some_and(|(_, path, _)| {
            path.segments
                .last()
                .is_some_and(|segment| segment.ident == "Localize")
        });
        if !is_localize {
            return visit::visit_item_impl(self, item);
        }
        let arms = |name: &str| -> Vec<(Vec<String>, Expr)> {
            let function = item.items.iter().find_map(|item| match item {
                ImplItem::Fn(function) if function.sig.ident == name => Some(function),
                _ => None,
            });
            function
                .map(|function| cases(&function.block))
                .unwrap_or_default()
        };
        let (messages, remedies) = (arms("message"), arms("remedy"));
        for (variants, expression) in arms("id") {
            for (kinds, id) in self.opened(&expression) {
                let said = |cases: &[(Vec<String>, Expr)]| {
                    let opened = fitting(cases, &variants)
                        .into_iter()
                        .flat_map(|expression| self.opened(&expression))
                        .collect::<Vec<_>>();
                    let exact = fitting(&opened, &kinds);
                    exact
                        .iter()
                        .flat_map(|expression| self.texts(expression))
                        .collect()
                };
                let (message, remedy): (Vec<_>, Vec<_>) = (said(&messages), said(&remedies));
                for id in self.ids(&id) {
                    self.add(&id, message.clone(), remedy.clone());
                }
            }
        }
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(path) = call.func.as_ref() {
            let names: Vec<_> = path
                .path
                .segments
                .iter()
                .map(|segment| segment.ident.to_string())
                .collect();
            if let [.., owner, verdict] = names.as_slice()
                && owner == "Finding"
                && ["ok", "warning", "failure"].contains(&verdict.as_str())
            {
                self.add_call(call.args.iter());
            }
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if call.method == "warn" {
            self.add_call(call.args.iter());
        }
        visit::visit_expr_method_call(self, call);
    }
}

/// The cases that name one of these variants; where none does, those that name nothing.
fn fitting(cases: &[(Vec<String>, Expr)], variants: &[String]) -> Vec<Expr> {
    let named = |names: &[String]| names.iter().any(|name| variants.contains(name));
    let exact: Vec<Expr> = cases
        .iter()
        .filter(|(names, _)| named(names))
        .map(|(_, expression)| expression.clone())
        .collect();
    if !exact.is_empty() {
        return exact;
    }
    let open = |names: &[String]| names.is_empty() || variants.is_empty();
    cases
        .iter()
        .filter(|(names, _)| open(names))
        .map(|(_, expression)| expression.clone())
        .collect()
}

/// The arms of the first match of a body by the variants they name; a body without a match is one
/// case for all.
pub(crate) fn cases(block: &syn::Block) -> Vec<(Vec<String>, Expr)> {
    let matched = block.stmts.iter().find_map(|statement| match statement {
        syn::Stmt::Expr(Expr::Match(matched), _) => Some(matched),
        _ => None,
    });
    match matched {
        Some(matched) => matched
            .arms
            .iter()
            .map(|arm| (variants(arm), *arm.body.clone()))
            .collect(),
        None => {
            let block = syn::ExprBlock {
                attrs: Vec::new(),
                label: None,
                block: block.clone(),
            };
            vec![(Vec::new(), Expr::Block(block))]
        }
    }
}

fn variants(arm: &Arm) -> Vec<String> {
    fn names(pattern: &Pat, found: &mut Vec<String>) {
        let path = match pattern {
            Pat::Or(or) => return or.cases.iter().for_each(|case| names(case, found)),
            Pat::Struct(pattern) => &pattern.path,
            Pat::TupleStruct(pattern) => &pattern.path,
            Pat::Path(pattern) => &pattern.path,
            _ => return,
        };
        found.extend(
            path.segments
                .last()
                .map(|segment| segment.ident.to_string()),
        );
    }
    let mut found = Vec::new();
    names(&arm.pat, &mut found);
    found
}

/// Calls are followed this deep.
const DEPTH: usize = 3;

pub(crate) fn called(call: &ExprCall) -> Option<String> {
    match call.func.as_ref() {
        Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
        _ => None,
    }
}

struct Texts<'a> {
    functions: &'a BTreeMap<String, ItemFn>,
    depth: usize,
    found: Vec<Sentence>,
}

impl<'ast> Visit<'ast> for Texts<'_> {
    fn visit_macro(&mut self, call: &'ast Macro) {
        if !call.path.is_ident("text") {
            return;
        }
        let literals = call.parse_body_with(Punctuated::<LitStr, Token![,]>::parse_terminated);
        if let Ok(literals) = literals
            && let [ja, en] = literals
                .iter()
                .map(LitStr::value)
                .collect::<Vec<_>>()
                .as_slice()
        {
            self.found.push(Sentence {
                ja: ja.clone(),
                en: en.clone(),
            });
        }
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        visit::visit_expr_call(self, call);
        if let Some(function) = called(call).and_then(|name| self.functions.get(&name))
            && self.depth < DEPTH
        {
            self.depth += 1;
            let function = function.clone();
            Texts::visit_block_of(self, &function);
            self.depth -= 1;
        }
    }
}

impl Texts<'_> {
    fn visit_block_of(&mut self, function: &ItemFn) {
        let mut inner = Texts {
            functions: self.functions,
            depth: self.depth,
            found: Vec::new(),
        };
        inner.visit_block(&function.block);
        self.found.append(&mut inner.found);
    }
}

struct Ids<'a> {
    functions: &'a BTreeMap<String, ItemFn>,
    depth: usize,
    found: Vec<String>,
}

impl<'ast> Visit<'ast> for Ids<'_> {
    fn visit_lit_str(&mut self, literal: &'ast LitStr) {
        let text = literal.value();
        let is_id = text.contains('-')
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if (is_id || text == "usage") && !self.found.contains(&text) {
            self.found.push(text);
        }
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        visit::visit_expr_call(self, call);
        if let Some(function) = called(call).and_then(|name| self.functions.get(&name))
            && self.depth < DEPTH
        {
            let mut inner = Ids {
                functions: self.functions,
                depth: self.depth + 1,
                found: Vec::new(),
            };
            inner.visit_block(&function.clone().block);
            for id in inner.found {
                if !self.found.contains(&id) {
                    self.found.push(id);
                }
            }
        }
    }
}
