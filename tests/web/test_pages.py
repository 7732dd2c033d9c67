"""Templates that are compiled before a page needs them."""

from pathlib import Path

from basewarden.web import Pages


async def test_every_template_of_a_page_is_compiled_ahead(tmp_path: Path) -> None:
    emails = tmp_path / "emails"
    emails.mkdir()
    (tmp_path / "home.html").write_text("home")
    (emails / "hello.html").write_text("{{ name | of_an_email }}")
    pages = Pages({"feature": tmp_path}, str)
    await pages.compile_templates()
    cache = pages.environment.cache
    assert cache is not None
    compiled = {str(name) for _, name in cache}
    assert {"feature/home.html", "shell.html", "error.html"} <= compiled
    assert not any("emails" in name for name in compiled)
