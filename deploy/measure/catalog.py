"""Catalogs: how fast a large file is read against `xmllint --stream --noout` on the same file, and how a real-sized one is taken and applied."""
import os
import statistics
import subprocess
import time
from pathlib import Path

from suite import SERVICES, OneC

GOOD = """\t\t\t<Товар>
\t\t\t\t<Ид>bd8c4e15-18f9-11e7-80c2-{0:012d}</Ид>
\t\t\t\t<Артикул>PM-{0}</Артикул>
\t\t\t\t<Наименование>Портативный коврик 140x200x1 см, Деревянные лошадки {0}</Наименование>
\t\t\t\t<БазоваяЕдиница Код="796 " НаименованиеПолное="Штука" МеждународноеСокращение="PCE"/>
\t\t\t\t<Группы><Ид>82cfb8dc-18f9-11e7-80c2-0cc47ab29cd1</Ид></Группы>
\t\t\t\t<Описание>Складной коврик для детской комнаты: легко чистить и хранить, занимает мало места, не скользит.</Описание>
\t\t\t\t<ЗначенияСвойств>
\t\t\t\t\t<ЗначенияСвойства><Ид>3268183f-18fa-11e7-80c2-0cc47ab29cd1</Ид><Значение>af848a7e-18fa-11e7-80c2-0cc47ab29cd1</Значение></ЗначенияСвойства>
\t\t\t\t\t<ЗначенияСвойства><Ид>06375b96-18fb-11e7-80c2-0cc47ab29cd1</Ид><Значение>259d77bb-18fb-11e7-80c2-0cc47ab29cd1</Значение></ЗначенияСвойства>
\t\t\t\t</ЗначенияСвойств>
\t\t\t\t<СтавкиНалогов><СтавкаНалога><Наименование>НДС</Наименование><Ставка>20</Ставка></СтавкаНалога></СтавкиНалогов>
\t\t\t\t<ЗначенияРеквизитов><ЗначениеРеквизита><Наименование>ВидНоменклатуры</Наименование><Значение>Товар</Значение></ЗначениеРеквизита></ЗначенияРеквизитов>
\t\t\t</Товар>
"""


def write(path, size):
    """A catalog of at least `size` bytes; the number of its goods."""
    count = 0
    with open(path, "w", encoding="utf-8") as file:
        written = file.write('<?xml version="1.0" encoding="UTF-8"?>\n<КоммерческаяИнформация xmlns="urn:1C.ru:commerceml_2" ВерсияСхемы="2.07">'
                             '<Каталог СодержитТолькоИзменения="true"><Ид>k</Ид><Товары>\n')
        length = len(GOOD.format(0).encode())
        while written < size:
            file.write(GOOD.format(count))
            written += length
            count += 1
        file.write("</Товары></Каталог></КоммерческаяИнформация>\n")
    return count


def run(*words):
    """Seconds and peak resident MB of a command."""
    begin = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, words
    return time.monotonic() - begin, usage.ru_maxrss / 1024


def measure(suite, figure, quick):
    path = Path(suite.folder) / "catalog.xml"
    write(path, 100_000_000 if quick else 1_000_000_000)
    # In turn, three times: the machine's speed swings, the ratio of neighbours less.
    ratios, memory = [], 0
    for _ in range(3):
        theirs, _ = run("xmllint", "--stream", "--noout", str(path))
        ours, resident = run(os.environ["THROUGHLINE_BIN"] + "/catalog-read", str(path))
        ratios.append(theirs / ours)
        memory = max(memory, resident)
        figure.note(f"  {path.stat().st_size / 1e6:.0f} MB: xmllint {theirs:.2f} s, catalog-read {ours:.2f} s")
    path.unlink()
    figure("catalog read / xmllint --stream --noout", statistics.median(ratios), "times", ">= 0.4", statistics.median(ratios) >= 0.4)
    figure("catalog read, resident memory", memory, "MB", "< 64", memory < 64)
    write(path, 2_700_000)
    data = path.read_bytes()
    onec = OneC(suite)
    onec.open()
    call = lambda mode, body=None: onec.call(mode, body, type="catalog", **({"filename": "import.xml"} if mode in ("file", "import") else {}))
    piece = int(call("init").text.split("file_limit=")[1])
    begin = time.monotonic()
    for start in range(0, len(data), piece):
        assert call("file", data[start:start + piece]).text == "success"
    taken = time.monotonic() - begin
    while call("import").text.startswith("progress"):
        pass
    figure(f"a catalog of {len(data) / 1e6:.1f} MB, acknowledged durable", taken, "s", "< 1", taken < 1)
    figure("the same, applied", time.monotonic() - begin, "s")
    pid = suite.pids()[SERVICES[2]]
    resident = int(next(l for l in open(f"/proc/{pid}/status") if l.startswith("VmHWM")).split()[1]) / 1024
    figure("accounting-bridge, peak resident memory after it", resident, "MB")
