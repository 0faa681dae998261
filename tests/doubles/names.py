"""Names that people give to folders, and that some grammar would read otherwise."""

NAMES = (
    *("β", "图片", "Häuser (2024)", " lead", "a,b", "[old]", "{a}", "x=y", "#1", "R&D", "b\\ck"),
    *("100%j", "${u}", "it's", 'a"b', "~", "-x", "2024_05", "1e5", "null", "TRUE", "nan", "inf"),
)
