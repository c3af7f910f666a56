//! Chromium on a client machine: an account with its own certificate store and a screen.
