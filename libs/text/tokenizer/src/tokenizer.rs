//! A Hugging Face tokenizer: loading, encoding, decoding.
use serde_json::Value;
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, ModelWrapper};

/// Longer texts are encoded in pieces where that provably gives the same ids.
const PIECE_BYTES: usize = 1 << 16;
/// The longest text that is encoded in one go: a tokenizer needs some hundred bytes of memory for each byte of it.
const WHOLE_BYTES: usize = 32 << 20;

/// Regular expressions that split between an ASCII letter or digit and a following newline, whatever surrounds them: no
/// alternative of theirs matches both, or looks ahead from one to the other. GPT-2's is `ByteLevel`'s own.
const SPLITTING_PATTERNS: [&str; 3] = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    // GPT-4, Llama 3
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    // Qwen 2, 2.5, 3
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];

pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
}

impl Tokenizer {
    pub fn from_json(json: &[u8]) -> Result<Tokenizer, String> {
        let mut inner = tokenizers::Tokenizer::from_bytes(json).map_err(|error| error.to_string())?;
        if let ModelWrapper::BPE(bpe) = inner.get_model() {
            if bpe.dropout.is_some_and(|dropout| dropout > 0.0) {
                return Err("BPE dropout is not supported: it encodes the same text differently each time".into());
            }
        }
        inner.with_truncation(None).map_err(|error| error.to_string())?;
        inner.with_padding(None);
        Ok(Tokenizer { inner })
    }

    pub fn from_gpt2(vocab: &[u8], merges: &str, add_prefix_space: bool) -> Result<Tokenizer, String> {
        let vocab: std::collections::HashMap<String, u32> =
            serde_json::from_slice(vocab).map_err(|error| format!("vocab.json: {error}"))?;
        let bpe = BPE::builder()
            .vocab_and_merges(vocab.into_iter().collect::<ahash::AHashMap<_, _>>(), parse_merges(merges)?)
            .build()
            .map_err(|error| format!("merges.txt does not fit vocab.json: {error}"))?;
        let mut inner = tokenizers::Tokenizer::new(bpe);
        inner.with_pre_tokenizer(Some(ByteLevel::new(add_prefix_space, true, true)));
        inner.with_decoder(Some(ByteLevel::default()));
        Ok(Tokenizer { inner })
    }

    pub fn add_tokens(&mut self, added_tokens: &[u8]) -> Result<(), String> {
        let tokens: Vec<AddedToken> = serde_json::from_slice(added_tokens).map_err(|error| error.to_string())?;
        self.inner.add_tokens(&tokens);
        Ok(())
    }

    pub fn set_frame(&mut self, begin: &str, end: &str) -> Result<(), String> {
        let mut pieces = Vec::new();
        let mut special_tokens = Vec::new();
        for (token, before) in [(begin, true), (end, false)] {
            if !before {
                pieces.push("$A".to_string());
            }
            if !token.is_empty() {
                let id = self.token_id(token).ok_or_else(|| format!("{token:?} is not in the vocabulary"))?;
                pieces.push(token.to_string());
                special_tokens.push((token.to_string(), id));
            }
        }
        let template = TemplateProcessing::builder()
            .try_single(pieces)
            .map_err(|error| error.to_string())?
            .special_tokens(special_tokens)
            .build()
            .map_err(|error| error.to_string())?;
        self.inner.with_post_processor(Some(template));
        Ok(())
    }

    pub fn has_post_processor(&self) -> bool {
        self.inner.get_post_processor().is_some()
    }

    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// One more than the largest id.
    pub fn vocabulary_size(&self) -> u64 {
        self.inner.get_vocab(true).values().max().map_or(0, |id| u64::from(*id) + 1)
    }

    pub fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>, String> {
        if text.len() > PIECE_BYTES && self.splits_before_newlines() {
            return self.encode_in_pieces(text, add_special_tokens);
        }
        if text.len() > WHOLE_BYTES {
            return Err(format!(
                "the text has {} bytes; this kind of tokenizer takes at most {WHOLE_BYTES} at once",
                text.len()
            ));
        }
        self.encode_whole(text, add_special_tokens)
    }

    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> Result<String, String> {
        if let Some(id) = ids.iter().find(|id| self.inner.id_to_token(**id).is_none()) {
            return Err(format!("there is no token with id {id}"));
        }
        self.inner.decode(ids, skip_special_tokens).map_err(|error| error.to_string())
    }

    fn encode_whole(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>, String> {
        let encoding = self.inner.encode_fast(text, add_special_tokens).map_err(|error| error.to_string())?;
        Ok(encoding.get_ids().to_vec())
    }

    fn encode_in_pieces(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>, String> {
        let (begin, end) = if add_special_tokens { self.frame()? } else { (Vec::new(), Vec::new()) };
        let mut ids = begin;
        for piece in pieces(text) {
            ids.extend(self.encode_whole(piece, false)?);
        }
        ids.extend(end);
        Ok(ids)
    }

    /// What the post-processor puts before and after a text.
    fn frame(&self) -> Result<(Vec<u32>, Vec<u32>), String> {
        let bare = self.encode_whole("a", false)?;
        let framed = self.encode_whole("a", true)?;
        let at = framed
            .windows(bare.len().max(1))
            .position(|window| window == bare)
            .ok_or("the post-processor changes the text's own tokens")?;
        Ok((framed[..at].to_vec(), framed[at + bare.len()..].to_vec()))
    }

    /// Whether a text's ids are those of its pieces, when it is cut before newlines that follow an ASCII letter or digit:
    /// normalization does not reach over the cut, no added token spans it or strips at it, and the pre-tokenizer splits there.
    fn splits_before_newlines(&self) -> bool {
        let added_tokens_allow = self.inner.get_added_tokens_decoder().values().all(|token| {
            !token.lstrip && !token.rstrip && !token.single_word && !token.content.contains(['\n', '\r'])
        });
        added_tokens_allow
            && json_of(self.inner.get_normalizer()).is_some_and(|normalizer| is_local(&normalizer))
            && json_of(self.inner.get_pre_tokenizer()).is_some_and(|pre_tokenizer| is_splitting(&pre_tokenizer))
    }
}

fn json_of<T: serde::Serialize>(part: Option<&T>) -> Option<Value> {
    serde_json::to_value(part).ok()
}

/// No normalizer, or a Unicode normalization form, for which a newline is a boundary on both sides.
fn is_local(normalizer: &Value) -> bool {
    normalizer.is_null() || matches!(normalizer["type"].as_str(), Some("NFC" | "NFD" | "NFKC" | "NFKD"))
}

fn is_splitting(pre_tokenizer: &Value) -> bool {
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

/// Cuts `text` before newlines that follow an ASCII letter or digit, as soon as a piece has PIECE_BYTES.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
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

fn parse_merges(merges: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for (i, line) in merges.lines().enumerate() {
        if line.starts_with("#version") || line.is_empty() {
            continue;
        }
        match line.split_once(' ') {
            Some((left, right)) if !left.is_empty() && !right.is_empty() && !right.contains(' ') => {
                pairs.push((left.to_string(), right.to_string()));
            }
            _ => return Err(format!("merges.txt: line {} is not two tokens with a space between", i + 1)),
        }
    }
    Ok(pairs)
}
