"""Write the documents: `python -m schemas.documents`, or `make schemas`."""

from pathlib import Path

from schemas.documents.writing import documents

FOLDER = Path(__file__).parents[1] / "generated"


def main() -> None:
    """Write every document, and remove those of shapes that are gone."""
    wanted = documents()
    for path, text in wanted.items():
        target = FOLDER / path
        target.parent.mkdir(parents=True, exist_ok=True)
        _ = target.write_text(text, encoding="utf-8")
    for found in FOLDER.rglob("*"):
        if found.is_file() and str(found.relative_to(FOLDER)) not in wanted:
            found.unlink()


if __name__ == "__main__":
    main()
