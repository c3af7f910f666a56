//! The flag by which a zip says that its names are UTF-8 (APPNOTE 4.4.4, bit 11). The writer sets it
//! only for names beyond ASCII; a delivery sets it for all, so that no reader has to guess.

/// Bit 11 of the general purpose flags, in the second octet of the field.
const UTF_8: u8 = 0x08;
/// End of central directory record (4.3.16): where the number of headers and the first one stand.
const END: (&[u8], usize, usize) = (b"PK\x05\x06", 10, 16);
/// Octets of the end record without a comment.
const END_LENGTH: usize = 22;
/// Central directory header (4.3.12): flags, and the position of the local header.
const CENTRAL: (&[u8], usize, usize) = (b"PK\x01\x02", 8, 42);
/// Octets of a central header without its three variable fields.
const CENTRAL_LENGTH: usize = 46;
/// Where those say how long they are.
const VARIABLE: [usize; 3] = [28, 30, 32];
/// Local file header (4.3.7): flags.
const LOCAL: (&[u8], usize) = (b"PK\x03\x04", 6);

/// Sets the flag in every header of a zip that has no comment and is no zip64; `None` where it is
/// something else, and then some headers may be changed and others not.
pub(super) fn set(zip: &mut [u8]) -> Option<()> {
    let end = zip.len().checked_sub(END_LENGTH)?;
    expect(zip, end, END.0)?;
    let count = u16_at(zip, end + END.1)?;
    let mut central = u32_at(zip, end + END.2)?;
    for _ in 0..count {
        expect(zip, central, CENTRAL.0)?;
        let local = u32_at(zip, central + CENTRAL.2)?;
        expect(zip, local, LOCAL.0)?;
        *zip.get_mut(central + CENTRAL.1 + 1)? |= UTF_8;
        *zip.get_mut(local + LOCAL.1 + 1)? |= UTF_8;
        let mut length = CENTRAL_LENGTH;
        for field in VARIABLE {
            length += u16_at(zip, central + field)?;
        }
        central += length;
    }
    (central == end).then_some(())
}

fn expect(zip: &[u8], at: usize, magic: &[u8]) -> Option<()> {
    (zip.get(at..at.checked_add(4)?)? == magic).then_some(())
}

fn u16_at(zip: &[u8], at: usize) -> Option<usize> {
    let octets = zip.get(at..at.checked_add(2)?)?.try_into().ok()?;
    Some(u16::from_le_bytes(octets).into())
}

fn u32_at(zip: &[u8], at: usize) -> Option<usize> {
    let octets = zip.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(octets)).ok()
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read, Write};

    use zip::write::SimpleFileOptions;

    use super::*;

    fn archive(names: &[&str]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for name in names {
            writer
                .start_file(*name, SimpleFileOptions::default())
                .unwrap();
            // What looks like a header inside a file is none.
            writer
                .write_all(b"PK\x01\x02 PK\x03\x04 PK\x05\x06")
                .unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn every_header_is_flagged_and_nothing_else_changes() {
        let names = ["a.crt", "受付.pem", "b/c.p12"];
        let before = archive(&names);
        let mut after = before.clone();
        set(&mut after).unwrap();
        let changed: Vec<usize> = (0..before.len())
            .filter(|&at| before[at] != after[at])
            .collect();
        assert_eq!(changed.len(), 4, "two headers each of the two ASCII names");
        assert!(changed.iter().all(|&at| after[at] == before[at] | UTF_8));
        let mut zip = zip::ZipArchive::new(Cursor::new(after)).unwrap();
        for name in names {
            let mut content = String::new();
            let mut file = zip.by_name(name).unwrap();
            file.read_to_string(&mut content).unwrap();
            assert_eq!(content, "PK\x01\x02 PK\x03\x04 PK\x05\x06");
        }
    }

    #[test]
    fn what_is_no_zip_is_no_panic() {
        let whole = archive(&["a", "b"]);
        for length in 0..whole.len() {
            assert_eq!(set(&mut whole[..length].to_vec()), None, "{length}");
        }
        for at in whole.len() - END_LENGTH..whole.len() {
            let mut broken = whole.clone();
            broken[at] ^= 0xff;
            set(&mut broken);
        }
    }
}
