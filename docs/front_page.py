"""The site's front page is README.md; what else stands beside it there becomes a page, too."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages, with links as they are from inside docs/."""
    root = Path(config.config_file_path).parent
    for source, page in PAGES.items():
        content = (root / source).read_text("utf-8").replace("](docs/", "](")
        for linked, name in PAGES.items():
            content = content.replace(f"]({linked})", f"]({name})")
        files.append(File.generated(config, page, content=content))
    return files
