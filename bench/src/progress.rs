//! What somebody who waits is told.

use std::io::Write;
use std::time::Instant;

/// Lines with the seconds since the start.
pub(crate) struct Progress<'a> {
    begin: Instant,
    output: &'a mut dyn Write,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(output: &'a mut dyn Write) -> Self {
        Self {
            begin: Instant::now(),
            output,
        }
    }

    pub(crate) fn line(&mut self, text: &str) -> std::io::Result<()> {
        let seconds = self.begin.elapsed().as_secs();
        writeln!(self.output, "{seconds:>5} s  {text}")
    }
}
