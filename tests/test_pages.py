"""What a command writes into a page stands between two comments, and nothing else is touched."""

import pytest

from testkit import pages

PAGE = "# A page\n\n<!-- one: begin -->\nold\n<!-- one: end -->\n\nIts end.\n"


def test_text_is_put_in_place_of_the_one_that_is_there(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    pages.put(page, "one", "new\n")

    assert PAGE.replace("old", "new") == page.read_text()


@pytest.mark.parametrize("mark", ["begin", "end"])
def test_page_without_comments_is_left_alone(tmp_path, mark):
    page = tmp_path / "page.md"
    text = PAGE.replace(f"one: {mark}", "another")
    page.write_text(text)
    with pytest.raises(SystemExit, match=r"one: .* does not have the lines <!-- one: begin -->"):
        pages.put(page, "one", "new\n")

    assert text == page.read_text()
