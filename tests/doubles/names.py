"""Names that people give to folders, and that some grammar would read otherwise."""

OF_EACH_KIND = ("β", "a,b", "100%j", "${u}", "it's", 'a"b', "-x", "1e5", "null")
NAMES = (
    *OF_EACH_KIND,
    *("图片", "Häuser (2024)", " lead", "[old]", "{a}", "x=y", "#1", "R&D", "b\\ck"),
    *("~", "2024_05", "TRUE", "nan", "inf"),
)
