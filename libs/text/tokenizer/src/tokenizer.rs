//! A Hugging Face tokenizer: loading, encoding, decoding.
use std::sync::OnceLock;

use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, ModelWrapper};

use crate::pieces::{self, Cut, PIECE_BYTES};

/// The longest text that is encoded in one go: a tokenizer needs some hundred bytes of memory for each byte of it.
const WHOLE_BYTES: usize = 32 << 20;

pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    cut: OnceLock<Cut>,
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
        Ok(Tokenizer { inner, cut: OnceLock::new() })
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
        Ok(Tokenizer { inner, cut: OnceLock::new() })
    }

    pub fn add_tokens(&mut self, added_tokens: &[u8]) -> Result<(), String> {
        let tokens: Vec<AddedToken> = serde_json::from_slice(added_tokens).map_err(|error| error.to_string())?;
        self.inner.add_tokens(&tokens);
        self.cut = OnceLock::new();
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
        if text.len() > PIECE_BYTES {
            let cut = self.cut.get_or_init(|| Cut::of(&self.inner));
            if let Some(ids) = pieces::encode(&self.inner, cut, text)? {
                return if add_special_tokens { self.framed(ids) } else { Ok(ids) };
            }
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

    /// `ids` with what the post-processor puts before and after a text, which does not depend on the text.
    fn framed(&self, ids: Vec<u32>) -> Result<Vec<u32>, String> {
        let bare = self.encode_whole("a", false)?;
        let framed = self.encode_whole("a", true)?;
        let at = framed
            .windows(bare.len().max(1))
            .position(|window| window == bare)
            .ok_or("the post-processor changes the text's own tokens")?;
        Ok([&framed[..at], &ids, &framed[at + bare.len()..]].concat())
    }
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
