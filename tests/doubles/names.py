"""Names that people give to folders, and that some grammar would read otherwise."""

OF_EACH_KIND = ("β", "a,b", "100%j", "${u}", "it's", "null")
OTHERS = (
    *("图片", "Häuser (2024)", " lead", "[old]", "{a}", "x=y", "#1", "R&D", "b\\ck"),
    *('a"b', "~", "-x", "2024_05", "1e5", "TRUE", "nan", "inf"),
)
NAMES = (*OF_EACH_KIND, *OTHERS)
