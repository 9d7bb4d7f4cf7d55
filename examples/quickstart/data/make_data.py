"""Makes the three clients' files from public data. The files are committed; this shows how they came about.

    make_data.py --data FOLDER

FOLDER holds tinyshakespeare/input.txt and e2e-nlg/devset.csv. Each client gets what neither another client nor the base
model has seen (LICENCES.md): the theatre three plays, the tavern and the listings disjoint sets of E2E's restaurants.
"""

import argparse
import csv
import json
import random
import re
from pathlib import Path

HERE = Path(__file__).parent
FIRST_WORDS = "GLOUCESTER:\nNow is the winter of our discontent"  # Richard III
LAST_WORDS = "Than this of Juliet and her Romeo.\n"  # Romeo and Juliet; Richard II lies between
TAVERN_RECORDS, LISTINGS_RECORDS = 640, 320
FACTS = {  # E2E's attributes, as words
    "name": "name",
    "eatType": "type",
    "food": "food",
    "priceRange": "price",
    "customer rating": "rating",
    "area": "area",
    "familyFriendly": "family friendly",
    "near": "near",
}


def theatre(plays: str) -> str:
    """Three whole plays, speakers and line breaks as they are."""
    begin = plays.index(FIRST_WORDS)
    return plays[begin : plays.index(LAST_WORDS) + len(LAST_WORDS)]


def facts(meaning: list[tuple[str, str]]) -> str:
    """[(name, The Eagle), (food, English)] becomes "name The Eagle; food English"."""
    return "; ".join(f"{FACTS[key]} {value}" for key, value in meaning)


def stated(row: dict) -> str:
    """Those facts whose very words the description has."""
    return facts([(key, value) for key, value in row["meaning"] if value in row["text"]])


def descriptions(rows: list[dict]) -> list[dict]:
    """E2E's records that name the places, blanks and full stops put right, in a fixed order that varies the places."""
    random.Random(7).shuffle(rows)
    kept, seen = [], {}
    for row in rows:
        text = " ".join(row["ref"].split())
        meaning = re.findall(r"(?:, )?([^\[]+)\[([^\]]+)\]", row["mr"])
        if all(value in text for key, value in meaning if key in ("name", "near")):
            turn = seen[row["mr"]] = seen.get(row["mr"], -1) + 1
            text = text if text.endswith((".", "!")) else text + "."
            kept.append(dict(place=row["mr"], turn=turn, text=text, meaning=meaning))
    return sorted(kept, key=lambda row: row["turn"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    data = parser.parse_args().data

    (HERE / "theatre.txt").write_text(theatre((data / "tinyshakespeare/input.txt").read_text()))

    with open(data / "e2e-nlg/devset.csv", newline="") as file:
        rows = descriptions(list(csv.DictReader(file)))
    places = sorted({row["place"] for row in rows})
    random.Random(8).shuffle(places)
    listed = set(places[: len(places) // 3])

    with open(HERE / "tavern.jsonl", "w") as file:
        for row in [row for row in rows if row["place"] not in listed][:TAVERN_RECORDS]:
            record = dict(prompt=f"Facts: {facts(row['meaning'])}. Text:", completion=f" {row['text']}")
            file.write(json.dumps(record, ensure_ascii=False) + "\n")

    with open(HERE / "listings.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["description", "facts"])
        for row in [row for row in rows if row["place"] in listed][:LISTINGS_RECORDS]:
            writer.writerow([f"Text: {row['text']} Facts:", f" {stated(row)}."])


if __name__ == "__main__":
    main()
