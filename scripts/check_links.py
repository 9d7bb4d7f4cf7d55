#!/usr/bin/python3
"""Checks that every link in the repository's Markdown leads somewhere: to a file, and to a heading where it names one.

Links to the web are not followed. Exits with 1 and one line per broken link.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)|<(?:img|a)\s[^>]*(?:src|href)=\"([^\"]+)\"")


def prose(text):
    """The text without code blocks and inline code, line for line."""
    text = re.sub(r"^(```|~~~).*?^\1", lambda block: "\n" * block.group().count("\n"), text, flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(path):
    """The names that headings of a page are linked by, as GitHub makes them."""
    names = set()
    for heading in re.findall(r"^#+\s+(.*)$", re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S), re.M):
        name = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()).replace(" ", "-")
        names.add(name if name not in names else f"{name}-1")
    return names


def problem(page, link):
    if re.match(r"[a-z]+:", link):
        return None
    target, _, anchor = link.partition("#")
    path = (ROOT / target.lstrip("/") if target.startswith("/") else page.parent / target) if target else page
    if not path.exists():
        return f"no such file: {link}"
    if anchor and path.suffix == ".md" and anchor not in anchors(path):
        return f"no such heading: {link}"
    return None


def main():
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
                            stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    broken = 0
    for name in listed:
        page = ROOT / name
        for number, line in enumerate(prose(page.read_text()).splitlines(), 1):
            for match in LINK.finditer(line):
                found = problem(page, match.group(1) or match.group(2))
                if found:
                    broken += 1
                    print(f"{name}:{number}: {found}")
    print(f"docs: {len(listed)} pages, {broken} broken links")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
