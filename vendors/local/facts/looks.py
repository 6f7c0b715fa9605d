"""Materials and style words, with the words that name them."""

import re
from dataclasses import dataclass

from vendors.local.facts.text import Document, Line

_SOFT = (
    "velvet,boucle,linen,cotton,leather,wool,jute,sisal,silk,viscose,polyester,nylon,microfiber,"
    "microfibre,chenille,sherpa,sheepskin,"
    "corduroy,canvas,felt,suede,fur,mohair,cashmere,tweed,fabric,seagrass,hemp,rayon,faux fur,"
    "velour,samt,leder,baumwolle,leinen,wolle"
)
_WOOD = (
    "oak,walnut,ash wood,ash,beech,pine,acacia,mango wood,mango,teak,mahogany,birch,maple,cherry wood,"
    "elm,sheesham,rosewood,rubberwood,poplar,"
    "eucalyptus,bamboo,rattan,wicker,cane,plywood,mdf,particle board,chipboard,veneer,wood,"
    "hardwood,timber,driftwood,paulownia,cedar,fir,"
    "eiche,nussbaum,buche,kiefer,holz,willow,cork,water hyacinth"
)
_HARD = (
    "stainless steel,steel,cast iron,wrought iron,iron,brass,aluminium,aluminum,copper,bronze,"
    "chrome,metal,nickel,zinc,gold leaf,"
    "glass,crystal,marble,travertine,limestone,sandstone,granite,quartz,onyx,slate,stone,"
    "concrete,cement,terrazzo,ceramic,porcelain,stoneware,"
    "earthenware,terracotta,clay,resin,plaster,fiberglass,fibreglass,plastic,polypropylene,"
    "polycarbonate,acrylic,pvc,foam,feather,down,"
    "cotton paper,rice paper,paper,metall,stahl,messing,glas,marmor,keramik,beton,mirror glass,"
    "alabaster,capiz,shell,enamel,papier mache"
)
_BEFORE = (
    r"(?:(?:solid|reclaimed|engineered|natural|genuine|real|full[ -]grain|top[ -]grain|aniline|"
    r"nubuck|faux|vegan|pu|bonded|tempered|frosted|smoked|"
    r"opal|brushed|polished|powder[ -]coated|blackened|antique|recycled|performance|washed|"
    r"organic|carrara|white|black|memory|european|american|fsc|massive?|massiv) ){0,4}"
)
_AFTER = r"(?: (?:veneer|effect|look|wood|finish|print))?"
_NAMES = sorted(",".join((_SOFT, _WOOD, _HARD)).split(","), key=len, reverse=True)
_MATERIAL = re.compile(rf"\b{_BEFORE}(?:{'|'.join(_NAMES)}){_AFTER}\b(?![ -]free|\w)")
_NOT = re.compile(r"(?:\bno|\bnot|\bwithout|\bnon|\bzero|\bohne|instead of|unlike|than|like)[ -](?:\w+ ){0,1}$")
_ELSEWHERE = re.compile(
    r"\b(?:available in|also in|choose from|other (?:colou?rs|finishes|options)|samples?|swatch|"
    r"clean(?:ed|ing)?|wipe|cloth|box|packag|pairs? (?:well )?with|styled with|not included)\b"
)
_WOODS = {name.removesuffix(" wood").rpartition(" ")[2] for name in _WOOD.split(",")} - {
    "wood",
    "hardwood",
    "timber",
    "holz",
}
_METALS = {"steel", "iron", "brass", "aluminium", "aluminum", "copper", "bronze", "chrome", "zinc", "stahl", "messing"}
_CLOTHS = set(_SOFT.split(",")) - {"fabric", "leather", "leder"}
_GENERAL = {
    **dict.fromkeys(("wood", "timber", "hardwood", "solid wood", "solid hardwood", "holz"), _WOODS),
    **dict.fromkeys(("metal", "metall"), _METALS),
    "fabric": _CLOTHS,
}
_COMMON_WORDS = {
    "down",
    "fabric",
    "shell",
    "paper",
    "canvas",
    "foam",
    "feather",
    "cane",
    "clay",
    "stone",
    "fur",
    "wood",
    "metal",
    "terracotta",
}
_PROPER = {"natural", "white", "black", "genuine", "real", "european", "american", "fsc", "washed"}

STYLES = (
    "mid-century modern,mid-century,mid century,midcentury,scandinavian,scandi,nordic,industrial,"
    "rustic,farmhouse,bohemian,boho,minimalist,minimal,"
    "modern,contemporary,traditional,art deco,art nouveau,coastal,japandi,japanese,vintage,retro,"
    "victorian,classic,glam,abstract,transitional,"
    "french country,tropical,zen,wabi-sabi,wabi sabi,brutalist,postmodern,bauhaus,shabby chic,"
    "moroccan,mediterranean,antique,colonial,"
    "geometric,botanical,luxury,cottage,country,eclectic,urban,hygge,chesterfield,baroque,gothic,"
    "tuscan,landhausstil,skandinavisch"
)
_STYLE = re.compile(
    rf"\b(?:{'|'.join(re.escape(word) for word in sorted(STYLES.split(','), key=len, reverse=True))})\b"
)
_SAME_STYLE = {
    "scandi": "scandinavian",
    "nordic": "scandinavian",
    "skandinavisch": "scandinavian",
    "boho": "bohemian",
    "mid century": "mid-century",
    "midcentury": "mid-century",
    "minimal": "minimalist",
    "wabi sabi": "wabi-sabi",
    "mid-century modern": "mid-century",
}


@dataclass(frozen=True, slots=True)
class Named:
    """A word of the vocabulary and how the merchant spelled it."""

    name: str
    quote: str


def find_materials(document: Document) -> list[Named]:
    """Materials the text says the product is made of, at most six, the title's first."""
    found: dict[str, Named] = {}
    for line in document.of("title", "description", "tags"):
        for match in _MATERIAL.finditer(line.folded):
            if _speaks_of_the_product(line, match):
                name = _material_name(match.group())
                if not any(name in known.split() or name == known for known in found):
                    found[name] = Named(name, line.text[slice(*match.span())])
    whole = [
        item for name, item in found.items() if not any(name != other and other.endswith(f" {name}") for other in found)
    ]
    return _without_general(whole)[:6]


def _without_general(named: list[Named]) -> list[Named]:
    """ "Timber" says nothing beside "acacia"; a general word stays only where it is alone in its class."""
    heads = {item.name.rpartition(" ")[2] for item in named}
    idle = {word for word, better in _GENERAL.items() if heads & better}
    return [item for item in named if item.name not in idle]


def find_styles(document: Document) -> list[Named]:
    """Style words, at most five, tags and title first."""
    found: dict[str, Named] = {}
    for line in document.of("tags", "title", "type", "description"):
        for match in _STYLE.finditer(line.folded):
            name = _SAME_STYLE.get(match.group(), match.group())
            found.setdefault(name, Named(name, line.text[slice(*match.span())]))
    return list(found.values())[:5]


def _speaks_of_the_product(line: Line, match: re.Match[str]) -> bool:
    before = line.folded[max(0, match.start() - 60) : match.start()]
    clause = re.split(r"[.;!?|]", before)[-1]
    if _NOT.search(before[-24:]) or _ELSEWHERE.search(clause):
        return False
    return not (line.source == "tags" and match.group() in _COMMON_WORDS)


def _material_name(spelled: str) -> str:
    kept = [word for word in spelled.split() if word not in _PROPER]
    return " ".join(kept).removesuffix(" finish") or spelled
