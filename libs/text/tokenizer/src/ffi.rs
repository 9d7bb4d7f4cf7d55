//! The C interface. Every entry runs under `guard`: errors become strings, panics become errors.
use std::ffi::{c_char, c_int, CString};
use std::panic::{catch_unwind, set_hook, AssertUnwindSafe};
use std::ptr;
use std::sync::Once;

use crate::chat::{ChatTemplate, RenderError};
use crate::tokenizer::Tokenizer;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    data: *const c_char,
    size: usize,
}

#[repr(C)]
pub struct Text {
    data: *mut c_char,
    size: usize,
}

#[repr(C)]
pub struct Ids {
    data: *mut u32,
    size: usize,
}

impl Bytes {
    /// The bytes for the length of a call.
    ///
    /// # Safety
    /// `data` points to `size` readable bytes, or `size` is 0.
    unsafe fn get<'a>(self) -> &'a [u8] {
        if self.size == 0 {
            return &[];
        }
        std::slice::from_raw_parts(self.data.cast(), self.size)
    }

    unsafe fn text<'a>(self, what: &str) -> Result<&'a str, String> {
        std::str::from_utf8(self.get())
            .map_err(|error| format!("{what} is not valid UTF-8 at byte {}", error.valid_up_to()))
    }
}

impl Text {
    fn new(text: String) -> Text {
        let bytes = Box::leak(text.into_bytes().into_boxed_slice());
        Text { size: bytes.len(), data: bytes.as_mut_ptr().cast() }
    }
}

impl Ids {
    fn new(ids: Vec<u32>) -> Ids {
        let ids = Box::leak(ids.into_boxed_slice());
        Ids { size: ids.len(), data: ids.as_mut_ptr() }
    }
}

fn error_string(message: String) -> *mut c_char {
    let message = message.replace('\0', " ");
    CString::new(message).unwrap_or_default().into_raw()
}

/// Runs `body`; null on success. A panic's message may quote the text that caused it, so it is neither printed nor returned.
fn guard(body: impl FnOnce() -> Result<(), String>) -> *mut c_char {
    static SILENCE: Once = Once::new();
    SILENCE.call_once(|| set_hook(Box::new(|_| {})));
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => ptr::null_mut(),
        Ok(Err(message)) => error_string(message),
        Err(_) => error_string("the tokenizer library failed on this input".into()),
    }
}

fn put<T>(out: *mut *mut T, value: T) {
    unsafe { *out = Box::into_raw(Box::new(value)) }
}

#[no_mangle]
pub unsafe extern "C" fn splitft_error_free(error: *mut c_char) {
    if !error.is_null() {
        drop(CString::from_raw(error));
    }
}

#[no_mangle]
pub unsafe extern "C" fn splitft_text_free(text: Text) {
    if !text.data.is_null() {
        drop(Box::from_raw(ptr::slice_from_raw_parts_mut(text.data.cast::<u8>(), text.size)));
    }
}

#[no_mangle]
pub unsafe extern "C" fn splitft_ids_free(ids: Ids) {
    if !ids.data.is_null() {
        drop(Box::from_raw(ptr::slice_from_raw_parts_mut(ids.data, ids.size)));
    }
}

#[no_mangle]
pub unsafe extern "C" fn splitft_tokenizer_from_json(json: Bytes, out: *mut *mut Tokenizer) -> *mut c_char {
    guard(|| {
        put(out, Tokenizer::from_json(json.get())?);
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn splitft_tokenizer_from_gpt2(
    vocab: Bytes,
    merges: Bytes,
    add_prefix_space: c_int,
    out: *mut *mut Tokenizer,
) -> *mut c_char {
    guard(|| {
        let merges = merges.text("merges.txt")?;
        put(out, Tokenizer::from_gpt2(vocab.get(), merges, add_prefix_space != 0)?);
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn splitft_tokenizer_free(tokenizer: *mut Tokenizer) {
    if !tokenizer.is_null() {
        guard(|| {
            drop(Box::from_raw(tokenizer));
            Ok(())
        });
    }
}

#[no_mangle]
pub unsafe extern "C" fn splitft_tokenizer_add_tokens(tokenizer: *mut Tokenizer, added_tokens: Bytes) -> *mut c_char {
    guard(|| (*tokenizer).add_tokens(added_tokens.get()))
}

#[no_mangle]
pub unsafe extern "C" fn splitft_tokenizer_set_frame(
    tokenizer: *mut Tokenizer,
    begin: Bytes,
    end: Bytes,
) -> *mut c_char {
    guard(|| (*tokenizer).set_frame(begin.text("the begin token")?, end.text("the end token")?))
}

#[no_mangle]
pub unsafe extern "C" fn splitft_tokenizer_has_post_processor(tokenizer: *const Tokenizer) -> c_int {
    (*tokenizer).has_post_processor().into()
}

#[no_mangle]
pub unsafe extern "C" fn splitft_tokenizer_token_id(
    tokenizer: *const Tokenizer,
    token: Bytes,
    id: *mut i64,
) -> *mut c_char {
    guard(|| {
        *id = (*tokenizer).token_id(token.text("the token")?).map_or(-1, i64::from);
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn splitft_tokenizer_vocabulary_size(tokenizer: *const Tokenizer, size: *mut u64) -> *mut c_char {
    guard(|| {
        *size = (*tokenizer).vocabulary_size();
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn splitft_tokenizer_encode(
    tokenizer: *const Tokenizer,
    text: Bytes,
    add_special_tokens: c_int,
    out: *mut Ids,
) -> *mut c_char {
    guard(|| {
        *out = Ids::new((*tokenizer).encode(text.text("the text")?, add_special_tokens != 0)?);
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn splitft_tokenizer_decode(
    tokenizer: *const Tokenizer,
    ids: *const u32,
    count: usize,
    skip_special_tokens: c_int,
    out: *mut Text,
) -> *mut c_char {
    guard(|| {
        let ids = if count == 0 { &[][..] } else { std::slice::from_raw_parts(ids, count) };
        *out = Text::new((*tokenizer).decode(ids, skip_special_tokens != 0)?);
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn splitft_template_compile(source: Bytes, out: *mut *mut ChatTemplate) -> *mut c_char {
    guard(|| {
        put(out, ChatTemplate::compile(source.text("the chat template")?)?);
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn splitft_template_free(compiled: *mut ChatTemplate) {
    if !compiled.is_null() {
        guard(|| {
            drop(Box::from_raw(compiled));
            Ok(())
        });
    }
}

#[no_mangle]
pub unsafe extern "C" fn splitft_template_render(
    compiled: *const ChatTemplate,
    context: Bytes,
    now: i64,
    raised: *mut c_int,
    out: *mut Text,
) -> *mut c_char {
    *raised = 0;
    guard(|| match (*compiled).render(context.get(), now) {
        Ok(text) => {
            *out = Text::new(text);
            Ok(())
        }
        Err(RenderError::Raised(message)) => {
            *raised = 1;
            Err(message)
        }
        Err(RenderError::Failed(message)) => Err(message),
    })
}
