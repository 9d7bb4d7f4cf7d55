//! Hugging Face `tokenizers` and `minijinja` behind the C interface of `tokenizer_ffi.h`.
mod chat;
mod ffi;
mod pieces;
mod python;
mod tokenizer;
