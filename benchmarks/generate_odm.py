"""Write an invented ODM file of a given size, streaming: one for the import, or an export.

python -m benchmarks.generate_odm labs.xml --megabytes 150 [--export]

Each participant has 4 visits of 5 forms of 3 groups of 10 items, with a note here and there, indented as most tools
write it. An export has the same in the server's form: no notes, unless they are asked for, and terse items, 2.6 million
in 150 MB.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_openclinica.engine.columns import Built

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3" xmlns:OpenClinica="http://www.openclinica.org/ns/odm_ext_v130/v3.1"
  ODMVersion="1.3" FileOID="BENCH" FileType="Snapshot" CreationDateTime="2026-01-05T08:00:00">
  <ClinicalData StudyOID="S_BENCH" MetaDataVersionOID="v1.0.0">
"""
TAIL = "  </ClinicalData>\n</ODM>\n"
VALUES = ("1", "0", "120", "36.6", "2026-01-05", "mild &amp; transient", "36.6 °C", "&gt; 3 µmol/l", "no change", "")
NOTE = """              <OpenClinica:DiscrepancyNotes>
                <OpenClinica:DiscrepancyNote ID="DN_{key}" NoteType="Query">
                  <OpenClinica:ChildNote ID="CDN_{key}" Status="New" UserName="data_manager">
                    <OpenClinica:DetailedNote>Please confirm the value &amp; its unit.</OpenClinica:DetailedNote>
                  </OpenClinica:ChildNote>
                </OpenClinica:DiscrepancyNote>
              </OpenClinica:DiscrepancyNotes>
"""


def participant(number: int, dice: random.Random) -> Iterator[str]:
    """Yield the text of one participant, in pieces."""
    yield f'    <SubjectData SubjectKey="SS_{number}" OpenClinica:StudySubjectID="B-{number:06}">\n'
    for visit in range(1, 5):
        yield (
            f'      <StudyEventData StudyEventOID="SE_VISIT{visit}" StudyEventRepeatKey="1" '
            f'OpenClinica:StartDate="2026-01-{visit:02}">\n'
        )
        for form in range(1, 6):
            status = 'OpenClinica:Status="complete"'
            yield f'        <FormData FormOID="F_FORM{form}" OpenClinica:FormLayoutOID="1" {status}>\n'
            for group in range(1, 4):
                yield f'          <ItemGroupData ItemGroupOID="IG_FORM{form}_G{group}" ItemGroupRepeatKey="1">\n'
                for item in range(1, 11):
                    oid = f"I_FORM{form}_G{group}_ITEM{item}"
                    start = f'            <ItemData ItemOID="{oid}" Value="{dice.choice(VALUES)}"'
                    if dice.random() < 0.01:
                        key = f"{number}_{visit}{form}{group}{item}"
                        yield f"{start}>\n{NOTE.format(key=key)}            </ItemData>\n"
                    else:
                        yield f"{start}/>\n"
                yield "          </ItemGroupData>\n"
            yield "        </FormData>\n"
        yield "      </StudyEventData>\n"
    yield "    </SubjectData>\n"


def exported(number: int, dice: random.Random) -> Iterator[str]:
    """Yield the text of one participant as it is exported, in pieces."""
    yield (
        f'<SubjectData SubjectKey="SS_{number}" OpenClinica:StudySubjectID="B-{number:06}" '
        'OpenClinica:Status="Available">\n'
    )
    for visit in range(1, 5):
        yield f'<StudyEventData StudyEventOID="SE_VISIT{visit}" OpenClinica:StartDate="2026-01-{visit:02}">\n'
        for form in range(1, 6):
            yield f'<FormData FormOID="F_FORM{form}" OpenClinica:FormLayoutOID="1">\n'
            for group in range(1, 4):
                yield f'<ItemGroupData ItemGroupOID="IG_{form}_{group}" ItemGroupRepeatKey="1">\n'
                for item in range(1, 11):
                    yield f'<ItemData ItemOID="I_{form}{group}_ITEM{item}" Value="{dice.choice(VALUES)}"/>\n'
                yield "</ItemGroupData>\n"
            yield "</FormData>\n"
        yield "</StudyEventData>\n"
    yield "</SubjectData>\n"


def generate(path: Path, megabytes: float, *, export: bool = False) -> None:
    """Write whole participants to ``path`` until it holds that many megabytes; the same size gives the same bytes."""
    dice, number, wanted = random.Random(20260105), 0, int(megabytes * 1_000_000)  # noqa: S311
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(HEAD)
        while file.tell() < wanted:
            number += 1
            file.writelines((exported if export else participant)(number, dice))
        file.write(TAIL)


def items_table(folder: Path, megabytes: float) -> Built:
    """Return the table of items of an export of that size, as Parquet in ``folder/made``."""
    from airflow_provider_openclinica.engine.tables import Tables

    export = folder / "export.xml"
    generate(export, megabytes, export=True)
    (folder / "made").mkdir()
    with Tables(folder / "made", "parquet", wanted=["items"]) as made:
        made.add(export)
    export.unlink()
    (built,) = made.built
    return built


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--megabytes", type=float, default=150)
    parser.add_argument("--export", action="store_true")
    arguments = parser.parse_args()
    generate(arguments.path, arguments.megabytes, export=arguments.export)
