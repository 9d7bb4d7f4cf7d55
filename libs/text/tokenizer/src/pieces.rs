//! Long texts, encoded piece by piece on all cores where that provably gives the same ids as the whole.
//!
//! A text is cut before newlines that follow an ASCII letter or digit. The ids are those of the pieces if
//! - no added token holds a newline, or strips white space behind an ASCII letter or digit,
//! - normalization does not reach over the cut, and
//! - either the pre-tokenizer's regular expression splits there, or no token holds a newline beside something else,
//!   so that nothing is ever merged over one (SentencePiece-like BPE).
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

use ahash::AHashMap;
use serde_json::Value;
use tokenizers::models::bpe::BPE;
use tokenizers::{AddedToken, Model, ModelWrapper, OffsetReferential, OffsetType, PreTokenizer, Tokenizer};

/// Texts up to this size are encoded whole.
pub const PIECE_BYTES: usize = 1 << 16;
const THREADS: usize = 16;
/// Words whose tokens are remembered while a text is encoded, and their longest.
const CACHED_WORDS: usize = 1 << 16;
const CACHED_WORD_BYTES: usize = 64;

/// Regular expressions that split between an ASCII letter or digit and a newline, whatever surrounds them: no alternative
/// of theirs matches both, or looks from one to the other. GPT-2's is ByteLevel's own.
const SPLITTING_PATTERNS: [&str; 3] = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    // GPT-4, Llama 3
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    // Qwen 2, 2.5, 3
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];

/// How a tokenizer lets a text be cut.
pub enum Cut {
    No,
    /// The ids of the pieces are those of the text.
    Plain,
    /// So they are without the first of each later piece, the word mark with which this tokenizer begins a text.
    BehindMark(u32),
}

impl Cut {
    pub fn of(tokenizer: &Tokenizer) -> Cut {
        let normalizer = serde_json::to_value(tokenizer.get_normalizer()).unwrap_or_default();
        let pre_tokenizer = serde_json::to_value(tokenizer.get_pre_tokenizer()).unwrap_or_default();
        if !tokenizer.get_added_tokens_decoder().values().all(allows_cut) {
            return Cut::No;
        }
        if is_unicode_form(&normalizer) && splits_before_newline(&pre_tokenizer) {
            return Cut::Plain;
        }
        match tokenizer.get_model() {
            ModelWrapper::BPE(bpe) if begins_with_mark(&normalizer, &pre_tokenizer) && newlines_stand_alone(bpe) => {
                tokenizer.token_to_id("▁").map_or(Cut::No, Cut::BehindMark)
            }
            _ => Cut::No,
        }
    }
}

fn allows_cut(token: &AddedToken) -> bool {
    !token.content.contains('\n') && !(token.rstrip && token.content.ends_with(|c: char| c.is_ascii_alphanumeric()))
}

/// No normalizer, or a Unicode normalization form, for which a newline is a boundary on both sides.
fn is_unicode_form(normalizer: &Value) -> bool {
    normalizer.is_null() || matches!(normalizer["type"].as_str(), Some("NFC" | "NFD" | "NFKC" | "NFKD"))
}

fn splits_before_newline(pre_tokenizer: &Value) -> bool {
    let is_byte_level = |part: &Value, use_regex: bool| {
        part["type"] == "ByteLevel" && part["add_prefix_space"] == false && part["use_regex"] == use_regex
    };
    if is_byte_level(pre_tokenizer, true) {
        return true;
    }
    match pre_tokenizer["pretokenizers"].as_array().map(Vec::as_slice) {
        Some([split, bytes]) => {
            split["type"] == "Split"
                && split["behavior"] == "Isolated"
                && split["invert"] == false
                && split["pattern"]["Regex"].as_str().is_some_and(|regex| SPLITTING_PATTERNS.contains(&regex))
                && is_byte_level(bytes, false)
        }
        _ => false,
    }
}

/// Llama's two forms: a normalizer that prepends the word mark and writes it for spaces, or Metaspace.
fn begins_with_mark(normalizer: &Value, pre_tokenizer: &Value) -> bool {
    let metaspace = || {
        normalizer.is_null()
            && pre_tokenizer["type"] == "Metaspace"
            && pre_tokenizer["replacement"] == "▁"
            && matches!(pre_tokenizer["prepend_scheme"].as_str(), Some("first" | "always"))
    };
    let prepend = || match normalizer["normalizers"].as_array().map(Vec::as_slice) {
        Some([prepend, replace]) => {
            pre_tokenizer.is_null()
                && prepend["type"] == "Prepend"
                && prepend["prepend"] == "▁"
                && replace["type"] == "Replace"
                && replace["pattern"]["String"] == " "
                && replace["content"] == "▁"
        }
        _ => false,
    };
    metaspace() || prepend()
}

/// Whether every text has tokens (all bytes do), and a newline's are merged with nothing.
fn newlines_stand_alone(bpe: &BPE) -> bool {
    let vocabulary: HashMap<String, u32> = bpe.get_vocab();
    bpe.byte_fallback
        && !bpe.ignore_merges
        && bpe.continuing_subword_prefix.as_deref().unwrap_or_default().is_empty()
        && bpe.end_of_word_suffix.as_deref().unwrap_or_default().is_empty()
        && (0..=255u8).all(|byte| vocabulary.contains_key(&format!("<{byte:#04X}>")))
        && vocabulary.keys().all(|token| !token.contains('\n') || token == "\n")
        && vocabulary.keys().all(|token| !token.contains("<0x0A>") || token == "<0x0A>")
}

/// The ids of `text` without special tokens, or nothing where it must be encoded whole.
pub fn encode(tokenizer: &Tokenizer, cut: &Cut, text: &str) -> Result<Option<Vec<u32>>, String> {
    if matches!(cut, Cut::No) {
        return Ok(None);
    }
    let pieces: Vec<&str> = pieces_of(text).collect();
    let mut ids = Vec::with_capacity(text.len() / 3);
    for (i, piece) in encode_each(tokenizer, &pieces)?.iter().enumerate() {
        match cut {
            Cut::BehindMark(mark) if i > 0 => match piece.split_first() {
                Some((first, rest)) if first == mark => ids.extend_from_slice(rest),
                _ => return Ok(None),
            },
            _ => ids.extend_from_slice(piece),
        }
    }
    Ok(Some(ids))
}

/// Cuts `text` before newlines that follow an ASCII letter or digit, as soon as a piece has PIECE_BYTES.
fn pieces_of(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let bytes = rest.as_bytes();
        let cut = (PIECE_BYTES..bytes.len()).find(|&i| bytes[i] == b'\n' && bytes[i - 1].is_ascii_alphanumeric());
        let (piece, after) = rest.split_at(cut.unwrap_or(bytes.len()));
        rest = after;
        Some(piece)
    })
}

/// The ids of each piece, on as many threads as there are cores; they end before this returns.
fn encode_each(tokenizer: &Tokenizer, pieces: &[&str]) -> Result<Vec<Vec<u32>>, String> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(vec![Vec::new(); pieces.len()]);
    let work = || -> Result<(), String> {
        let mut words = Words::default();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(piece) = pieces.get(i) else { return Ok(()) };
            let ids = words.encode(tokenizer, piece).map_err(|error| error.to_string())?;
            results.lock().map_err(|_| "another piece failed")?[i] = ids;
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(pieces.len()).min(THREADS);
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mine = work();
        others.into_iter().try_for_each(|other| other.join().map_err(|_| "a piece failed")?).and(mine)
    })?;
    results.into_inner().map_err(|_| "a piece failed".into())
}

/// Tokens of words seen before. A word's tokens depend on nothing but the word.
#[derive(Default)]
struct Words {
    tokens: AHashMap<String, Vec<u32>>,
}

impl Words {
    /// As Tokenizer::encode_fast does, but for the ids only.
    fn encode(&mut self, tokenizer: &Tokenizer, piece: &str) -> tokenizers::Result<Vec<u32>> {
        let mut words = tokenizer.get_added_vocabulary().extract_and_normalize(tokenizer.get_normalizer(), piece);
        if let Some(pre_tokenizer) = tokenizer.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut words)?;
        }
        let mut ids = Vec::with_capacity(piece.len() / 3);
        for (word, _, tokens) in words.get_splits(OffsetReferential::Original, OffsetType::None) {
            if let Some(tokens) = tokens {
                ids.extend(tokens.iter().map(|token| token.id)); // an added token
            } else if let Some(known) = self.tokens.get(word) {
                ids.extend_from_slice(known);
            } else {
                let begin = ids.len();
                ids.extend(tokenizer.get_model().tokenize(word)?.iter().map(|token| token.id));
                if word.len() <= CACHED_WORD_BYTES && self.tokens.len() < CACHED_WORDS {
                    self.tokens.insert(word.to_string(), ids[begin..].to_vec());
                }
            }
        }
        Ok(ids)
    }
}
