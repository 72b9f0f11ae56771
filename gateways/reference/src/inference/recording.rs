//! How long a recording can be: by its bytes, and by what it says of itself where it may be
//! silent in fewer.

use super::input::saturated;

/// No codec in use takes less for a second of speech.
const BYTES_OF_SECOND: u64 = 500;
/// A FLAC frame of silence: its header, a constant for each channel and two checksums.
const LEAST_FLAC_FRAME: u64 = 10;
/// Samples of a second that Opus counts in, whatever it was recorded at.
const OPUS_RATE: u64 = 48_000;
/// What WAVE calls samples that stand there one by one: whole numbers, fractions, and either
/// with more said of them.
const WHOLE_SAMPLES: [u64; 3] = [1, 3, 0xFFFE];

/// The most seconds that a file can have.
pub(super) fn seconds(file: &[u8]) -> u64 {
    let by_bytes = saturated(file.len()).div_ceil(BYTES_OF_SECOND);
    let told = flac(file).or_else(|| wave(file)).or_else(|| ogg(file));
    by_bytes.max(told.unwrap_or_default())
}

/// The samples that FLAC's first block counts; where it leaves that open, as many as can be.
fn flac(file: &[u8]) -> Option<u64> {
    let info = file.strip_prefix(b"fLaC")?.get(4..38)?;
    let packed = big_endian(info.get(10..18)?);
    let (rate, samples) = (packed >> 44, packed & 0xF_FFFF_FFFF);
    let most =
        || (saturated(file.len()) / LEAST_FLAC_FRAME).saturating_mul(big_endian(info.get(2..4).unwrap_or_default()));
    let samples = if samples == 0 { most() } else { samples };
    Some(samples.div_ceil(rate.max(1)))
}

/// All that follows WAVE's head, at the rate that this says.
fn wave(file: &[u8]) -> Option<u64> {
    let mut rest = file.strip_prefix(b"RIFF")?.get(4..)?.strip_prefix(b"WAVE")?;
    loop {
        let (head, body) = rest.split_at_checked(8)?;
        let length = usize::try_from(little_endian(head.get(4..)?)).ok()?;
        if head.starts_with(b"fmt ") {
            let [tag, rate, frame] = [0..2, 4..8, 12..14].map(|at| body.get(at).map(little_endian));
            // Packed samples take a bit each, at least.
            let each = if WHOLE_SAMPLES.contains(&tag?) { rate?.saturating_mul(frame?) } else { rate? / 8 };
            return Some(saturated(file.len()).div_ceil(each.max(1)));
        }
        // What has an odd length is followed by one byte more.
        rest = body.get(length.checked_add(length % 2)?..)?;
    }
}

/// Where the last page of Ogg says that it ends.
fn ogg(file: &[u8]) -> Option<u64> {
    const PAGE: &[u8] = b"OggS";
    let first = file.strip_prefix(PAGE)?.get(24..)?;
    let last = file.windows(PAGE.len()).rposition(|bytes| bytes == PAGE)?;
    let samples = little_endian(file.get(last.checked_add(6)?..)?.get(..8)?);
    let rate = if first.starts_with(b"OpusHead") { OPUS_RATE } else { little_endian(first.get(12..16)?) };
    Some(samples.div_ceil(rate.max(1)))
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flac_of(rate: u64, samples: u64) -> Vec<u8> {
        let mut file = b"fLaC\x80\0\0\x22\x10\0\xFF\xFF\0\0\0\0\0\0".to_vec();
        file.extend(((rate << 44) | samples).to_be_bytes());
        file.resize(1_000, 0);
        file
    }

    fn wave_of(tag: u16, rate: u32, frame: u16, bytes: usize) -> Vec<u8> {
        let mut file = b"RIFF\0\0\0\0WAVEodd!\x01\0\0\0\0\0fmt \x10\0\0\0".to_vec();
        file.extend([tag.to_le_bytes(), 1_u16.to_le_bytes()].concat());
        file.extend([rate.to_le_bytes(), u32::MAX.to_le_bytes()].concat());
        file.extend([frame.to_le_bytes(), 16_u16.to_le_bytes()].concat());
        file.resize(bytes, 0);
        file
    }

    fn opus_of(samples: u64) -> Vec<u8> {
        let page = |granule: u64| [b"OggS\0\0".as_slice(), &granule.to_le_bytes(), &[0; 14]].concat();
        [page(0), b"OpusHead".to_vec(), vec![0; 100], page(samples)].concat()
    }

    #[test]
    fn a_recording_is_as_long_as_its_bytes_or_as_it_says() {
        for (file, expected) in [
            (vec![b'a'; 10_000], 20),
            (Vec::new(), 0),
            (flac_of(16_000, 16_000 * 7_200), 7_200),
            (flac_of(16_000, 1), 2),
            // Open: a hundred frames of 65,535 samples
            (flac_of(16_000, 0), 410),
            (wave_of(1, 1, 1, 1_000), 1_000),
            (wave_of(1, 16_000, 2, 32_000), 64),
            (wave_of(17, 800, 256, 100_000), 1_000),
            (opus_of(48_000 * 3_600), 3_600),
        ] {
            assert_eq!(seconds(&file), expected, "{:?}", file.get(..4));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            head in prop::sample::select(vec![b"fLaC".as_slice(), b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEfmt ", b"OggS", b""]),
            rest in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let file = [head, &rest].concat();
            prop_assert!(seconds(&file) >= saturated(file.len()).div_ceil(BYTES_OF_SECOND));
        }
    }
}
