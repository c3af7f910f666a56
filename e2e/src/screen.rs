//! A screen nobody sits at, for what headless Chromium does not show: its question for a
//! certificate.

use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context;

use crate::process::Process;
use crate::program::Program;
use crate::wait;

/// A virtual screen with a window manager.
#[derive(Debug)]
pub struct Screen {
    display: String,
    frame: PathBuf,
    _manager: Process,
    _server: Process,
}

impl Screen {
    /// Starts one; its picture lies in `dir`.
    ///
    /// # Errors
    ///
    /// When Xvfb, openbox or xdotool is missing.
    pub fn start(dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut child = Program::new("Xvfb")
            .args(["-displayfd", "1", "-nolisten", "tcp"])
            .args(["-screen", "0", "1280x1000x24", "-fbdir"])
            .arg(dir)
            .spawn(Stdio::null(), Stdio::piped(), Stdio::null())?;
        let stdout = child.stdout.take().context("its output")?;
        let server = Process::new("Xvfb", child);
        let mut number = String::new();
        BufReader::new(stdout).read_line(&mut number)?;
        let display = format!(":{}", number.trim());
        let manager = Program::new("openbox").env("DISPLAY", &display).spawn(
            Stdio::null(),
            Stdio::null(),
            Stdio::null(),
        )?;
        Ok(Self {
            display,
            frame: dir.join("Xvfb_screen0"),
            _manager: Process::new("openbox", manager),
            _server: server,
        })
    }

    /// `:1`.
    pub fn display(&self) -> &str {
        &self.display
    }

    /// Waits until Chromium asks for a certificate: it dims the page behind the question.
    ///
    /// # Errors
    ///
    /// When it does not ask.
    pub fn chooser(&self) -> anyhow::Result<()> {
        wait::until("the question for a certificate", || {
            self.chooser_is_shown().ok()?.then_some(())
        })
    }

    /// Whether Chromium asks for a certificate at this moment.
    ///
    /// # Errors
    ///
    /// When there is no picture.
    pub fn chooser_is_shown(&self) -> anyhow::Result<bool> {
        // Inside the window, far below the question and left of it.
        let [red, green, blue] = self.pixel(100, 800)?;
        Ok(red == green && green == blue && (0x20..0x90).contains(&red))
    }

    /// Presses keys, in the names xdotool has for them.
    ///
    /// # Errors
    ///
    /// When xdotool is missing.
    pub fn press(&self, keys: &[&str]) -> anyhow::Result<()> {
        Program::new("xdotool")
            .arg("key")
            .args(keys)
            .env("DISPLAY", &self.display)
            .run()?
            .success()?;
        Ok(())
    }

    /// A point of the picture, read from the file Xvfb keeps (X11/XWDFile.h, version 7).
    fn pixel(&self, x: u64, y: u64) -> anyhow::Result<[u8; 3]> {
        let mut file = File::open(&self.frame)?;
        let mut header = [0; 80];
        file.read_exact(&mut header)?;
        let field = |index: usize| {
            let bytes = [0, 1, 2, 3].map(|byte| header[index * 4 + byte]);
            u64::from(u32::from_be_bytes(bytes))
        };
        let (header_size, bytes_per_line, colours) = (field(0), field(12), field(19));
        let start = header_size + colours * 12 + y * bytes_per_line + x * 4;
        file.seek(SeekFrom::Start(start))?;
        let mut blue_green_red = [0; 4];
        file.read_exact(&mut blue_green_red)?;
        let [blue, green, red, _] = blue_green_red;
        Ok([red, green, blue])
    }
}
