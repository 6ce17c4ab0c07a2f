import re
from pathlib import Path

from headstart import errors

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "exit-codes.md").read_text()


def test_the_page_names_the_code_of_every_error():
    written = {name: int(code) for code, name in re.findall(r"^\| (\d+) \| `(\w+)`", PAGE, re.MULTILINE)
               if name != "Interrupted"}
    assert written == {cls.__name__: cls.exit_code for cls in errors.HeadstartError.__subclasses__()
                       if cls is not errors.Interrupted}
    assert [errors.Interrupted("", signal_number=number).exit_code for number in (2, 15)] == [130, 143]
    assert f"| {errors.EXIT_BUG} |" in PAGE
