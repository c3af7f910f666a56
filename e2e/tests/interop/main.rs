//! Strangers read what we write.

mod openssl;
