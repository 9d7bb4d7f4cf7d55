"""What Hugging Face's tokenizers and transformers make of the texts and chats, for the golden tests to compare with.

Trains small tokenizers in the style of well-known models on the data beside this file, saves each as a model directory,
and writes what it encodes, decodes and renders to OUT. Deterministic.
"""
import argparse
import array
import datetime
import json
import os
import pathlib
import shutil

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers.utils import chat_template_utils

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3_PATTERN = CONTRACTIONS + r"|\p{N}{1,3}" + REST
QWEN_PATTERN = CONTRACTIONS + r"|\p{N}" + REST
NOW = datetime.datetime(2024, 7, 26)


class FixedDate(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


def write_model(folder, tokenizer, config):
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text(tokenizer if isinstance(tokenizer, str) else tokenizer.to_str(), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


def train_byte_level(prose, pre_tokenizer, specials=()):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2000, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), special_tokens=list(specials),
        show_progress=False)
    tokenizer.train_from_iterator(prose, trainer)
    return tokenizer


def gpt2(out, prose):
    """vocab.json and merges.txt, as GPT-2 has them."""
    tokenizer = train_byte_level(prose, pre_tokenizers.ByteLevel(add_prefix_space=False), ["<|endoftext|>"])
    folder = out / "gpt2_small"
    folder.mkdir(parents=True)
    tokenizer.model.save(str(folder))


def llama(out, prose, templates):
    """SentencePiece-like BPE with byte fallback; the normalizer of Llama 2's files, and the Metaspace of later ones."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    control = ["<unk>", "<s>", "</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=2000, special_tokens=control + [f"<0x{byte:02X}>" for byte in range(256)], show_progress=False)
    tokenizer.train_from_iterator((line.rstrip("\n") for line in prose), trainer)
    tokenizer.pre_tokenizer = None
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(content=" ", left=1)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] in control]
    config = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "tokenizer_class": "PreTrainedTokenizerFast",
              "clean_up_tokenization_spaces": False}
    write_model(out / "llama2", json.dumps(content), config | {"chat_template": templates["llama2"]})
    content["normalizer"] = None
    content["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    named = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": templates["mistral"]}]
    as_objects = {name: {"__type": "AddedToken", "content": config[name], "lstrip": False, "normalized": False,
                         "rstrip": False, "single_word": False} for name in ("bos_token", "eos_token", "unk_token")}
    write_model(out / "mistral", json.dumps(content), config | as_objects | {"chat_template": named})


def llama3(out, prose, templates):
    """Byte-level BPE with GPT-4's split, whole words before merges, and special tokens behind the vocabulary."""
    tokenizer = train_byte_level(prose, pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3_PATTERN), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))
    specials = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    tokenizer.add_special_tokens(specials)
    begin = tokenizer.token_to_id(specials[0])
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single=f"{specials[0]} $A", special_tokens=[(specials[0], begin)])])
    content = json.loads(tokenizer.to_str())
    content["model"]["ignore_merges"] = True
    write_model(out / "llama3", json.dumps(content), {
        "bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False})
    (out / "llama3" / "chat_template.jinja").write_text(templates["llama3"], encoding="utf-8")


def qwen(out, prose, templates):
    """Byte-level BPE with NFC and one digit a token; its special tokens only in tokenizer_config.json."""
    tokenizer = train_byte_level(prose, pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN_PATTERN), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    size = tokenizer.get_vocab_size()
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    added = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    config = {"added_tokens_decoder": {str(size + i): {"content": token} | flags for i, token in enumerate(added)},
              "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "bos_token": None, "add_bos_token": False,
              "additional_special_tokens": ["<|im_start|>", "<|im_end|>"], "clean_up_tokenization_spaces": False,
              "tokenizer_class": "PreTrainedTokenizerFast"}
    write_model(out / "qwen", tokenizer, config | {"chat_template": templates["qwen"]})
    strip = {"<|im_end|>": flags | {"rstrip": True, "lstrip": True}, "<|endoftext|>": flags, "word": flags | {"single_word": True, "special": False}}
    config["added_tokens_decoder"] = {str(size + i): {"content": token} | strip[token] for i, token in enumerate(strip)}
    config["additional_special_tokens"] = []
    write_model(out / "stripping", tokenizer, config | {"chat_template": templates["features"], "unk_token": "<|unk|>"})


def load(folder):
    if (folder / "tokenizer.json").exists():
        return transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    return transformers.GPT2Tokenizer.from_pretrained(folder)


def write_ids(path, ids):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(array.array("i", ids).tobytes())


def encode_samples(tokenizer, samples):
    for text in samples:
        for special in (False, True):
            ids = tokenizer(text, add_special_tokens=special)["input_ids"]
            yield {"text": text, "add_special_tokens": special, "ids": ids,
                   "decoded": tokenizer.decode(ids, skip_special_tokens=False),
                   "decoded_without_special": tokenizer.decode(ids, skip_special_tokens=True)}


def encode_files(tokenizer, name, files, out):
    for file in files:
        # newline="": Python would turn CRLF into LF.
        with open(file, encoding="utf-8", newline="") as stream:
            ids = tokenizer(stream.read(), add_special_tokens=True)["input_ids"]
        write_ids(out / "ids" / name / (file.name + ".ids"), ids)
        yield {"file": str(file), "ids_file": str(out / "ids" / name / (file.name + ".ids"))}


def render_chats(tokenizer, chats):
    for chat in chats:
        for generate in (False, True):
            case = {"messages": chat, "add_generation_prompt": generate}
            try:
                case["text"] = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=generate)
            except Exception as error:
                case["error"] = type(error).__name__
                case["message"] = str(error)
            yield case


def assistant_masks(tokenizer, chats):
    """Where the template's own {% generation %} blocks say that the assistant speaks."""
    for chat in chats:
        encoded = tokenizer.apply_chat_template(chat, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
        yield {"messages": chat, "ids": encoded["input_ids"], "mask": encoded["assistant_masks"]}


def long_text(prose, samples):
    """Over a megabyte, so that it is encoded in pieces: every sample between lines, repeated."""
    return "".join(line + samples[i % len(samples)] for i, line in enumerate(prose * 12))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("data", "shared", "out"):
        parser.add_argument("--" + name, type=pathlib.Path, required=True)
    args = parser.parse_args()
    shutil.rmtree(args.out, ignore_errors=True)
    args.out.mkdir(parents=True)
    transformers.logging.set_verbosity_error()
    chat_template_utils.datetime = FixedDate

    prose = (args.data / "prose.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    samples = json.loads((args.data / "samples.json").read_text(encoding="utf-8"))
    chats = json.loads((args.data / "chats.json").read_text(encoding="utf-8"))
    templates = {path.stem.removeprefix("chat_"): path.read_text(encoding="utf-8") for path in args.data.glob("chat_*.jinja")}

    models_folder = args.out / "models"
    gpt2(models_folder, prose)
    llama(models_folder, prose, templates)
    llama3(models_folder, prose, templates)
    qwen(models_folder, prose, templates)
    if (args.shared / "gpt2-tokenizer").exists():
        (models_folder / "gpt2").symlink_to((args.shared / "gpt2-tokenizer").resolve())

    long = args.out / "long.txt"
    long.write_text(long_text(prose, samples), encoding="utf-8", newline="")
    shared = sorted(path for path in args.shared.glob("*/*") if path.suffix in (".txt", ".csv") and path.name != "merges.txt")
    cases = {}
    for folder in sorted(models_folder.iterdir()):
        tokenizer = load(folder)
        case = {"directory": str(folder), "vocabulary_size": len(tokenizer), "begin_id": tokenizer.bos_token_id,
                "end_id": tokenizer.eos_token_id, "samples": list(encode_samples(tokenizer, samples)),
                "files": list(encode_files(tokenizer, folder.name, [args.data / "prose.txt", long] + shared, args.out))}
        if tokenizer.chat_template:
            case["chats"] = list(render_chats(tokenizer, chats))
        if folder.name == "qwen":
            case["masks"] = list(assistant_masks(tokenizer, [chat for chat in chats if any(m["content"] for m in chat)]))
        cases[folder.name] = case
    (args.out / "cases.json").write_text(json.dumps(cases), encoding="utf-8")


if __name__ == "__main__":
    main()
