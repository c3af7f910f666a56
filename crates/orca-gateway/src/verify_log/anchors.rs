//! Heads of chains that were told outside of the access log.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead};

use super::read_line;
use crate::chain::{ChainId, Hash, Head};

/// What event logs and journals say about the chains.
#[derive(Debug, Default)]
pub(super) struct Anchors {
    chains: HashMap<ChainId, BTreeMap<u64, Vec<Hash>>>,
    /// The files, each as the chains in the order of their last mention.
    orders: Vec<Vec<ChainId>>,
}

impl Anchors {
    /// Takes every head that stands in a text.
    pub(super) fn read(&mut self, mut reader: impl BufRead) -> io::Result<()> {
        let mut order: Vec<ChainId> = Vec::new();
        let mut line = Vec::new();
        while read_line(&mut reader, &mut line)?.is_some() {
            let text = String::from_utf8_lossy(&line);
            let Ok(head) = text.parse::<Head>() else {
                continue;
            };
            let hashes = self.chains.entry(head.id).or_default();
            let hashes = hashes.entry(head.number).or_default();
            if !hashes.contains(&head.hash) {
                hashes.push(head.hash);
            }
            if order.last() != Some(&head.id) {
                order.retain(|id| *id != head.id);
                order.push(head.id);
            }
        }
        self.orders.push(order);
        Ok(())
    }

    /// Whether any were given.
    pub(super) fn is_empty(&self) -> bool {
        self.chains.is_empty()
    }

    /// Of one chain, by number of line.
    pub(super) fn of(&self, id: ChainId) -> Option<&BTreeMap<u64, Vec<Hash>>> {
        self.chains.get(&id)
    }

    /// The last line of a chain that was told.
    pub(super) fn last(&self, id: ChainId) -> Option<u64> {
        self.of(id)?.last_key_value().map(|(number, _)| *number)
    }

    /// Chains that were told after one of `known`, and are not known themselves.
    pub(super) fn missing(&self, known: impl Fn(ChainId) -> bool) -> Vec<ChainId> {
        let mut missing: Vec<ChainId> = Vec::new();
        for order in &self.orders {
            let later = order.iter().skip_while(|id| !known(**id));
            missing.extend(later.filter(|id| !known(**id)));
        }
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// Chains that were told only before all of `known`: their files are gone.
    pub(super) fn gone(&self, known: impl Fn(ChainId) -> bool) -> usize {
        let missing = self.missing(&known);
        let gone = self.chains.keys();
        gone.filter(|id| !known(**id) && !missing.contains(id))
            .count()
    }
}
