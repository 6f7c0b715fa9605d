"""The words that measurements are written in: units, axes, and what a measurement is about."""

import re
from typing import Literal

Axis = Literal["width", "depth", "height", "length", "diameter", "radius", "thickness"]

METRES = {"mm": 0.001, "cm": 0.01, "m": 1.0, "in": 0.0254, "ft": 0.3048, "yd": 0.9144}


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _spread(groups: dict[str, str]) -> dict[str, str]:
    return {word: meaning for meaning, words in groups.items() for word in words.split()}


UNITS = _spread(
    {
        "mm": "mm mms ㎜ millimeter millimeters millimetre millimetres millimetro millimetri milimetros",
        "cm": "cm cms ㎝ centimeter centimeters centimetre centimetres zentimeter centimetros centimetri",
        "m": "m mtr mtrs meter meters metre metres metros metri",
        "in": 'in ins inch inches zoll pouces pulgadas "',
        "ft": "ft feet foot '",
        "yd": "yd yds yard yards",
    }
)

# A number before one of these is not a length, even where the text gave no unit.
OTHER_UNITS = _set(
    """
    kg kgs kilo kilos lb lbs pound pounds g gr gsm gram grams oz ounce ounces watt watts v volt volts k kelvin lm
    lumen lumens litre litres liter liters ml cl gal gallon gallons hz khz db mah ah year years yr yrs month months
    day days week weeks hour hours hr hrs min mins minute minutes sec people person persons seater seaters seat
    piece pieces pcs pc pack packs drawer drawers door doors shelves tier tiers leg legs box boxes carton cartons
    cushion cushions bulb bulbs light lights thread star stars usd eur gbp cad aud dollars euro euros sq sqm sqft
    square cu cubic bar psi degrees denier ply tog step steps colors colours sizes screws sitzer places plazas posti
    stuck kwh kw amp amps candles panels bulbs customers reviews
    """
)

_NOUNS: dict[Axis, str] = {
    "width": "width widths breadth breite largeur ancho anchura larghezza breedte largura bredd bredde spread "
    "szerokosc leveys 幅 横幅 宽 寬",
    "depth": "depth tiefe profondeur fondo profundidad profondita diepte profundidade djup dybde extension "
    "projection projects "
    "protrudes ausladung saillie sporgenza głebokosc syvyys 奥行 奥行き 深",
    "height": "height heights hohe hoehe hauteur alto altura altezza hoogte hojd højde høyde drop "
    "altura wysokosc korkeus 高 高さ",
    "length": "length lengths lange laenge longueur largo longitud lunghezza lengte comprimento langd længde lengde "
    "długosc pituus 長さ 长 長",
    "diameter": "diameter diametre diametro durchmesser dia diam doorsnede diametru srednica halkaisija 直径",
    "radius": "radius",
    "thickness": "thickness dicke epaisseur grosor spessore dikte starke tjocklek grubosc paksuus 厚さ 厚み 厚",
}
_ADJECTIVES: dict[Axis, str] = {
    "width": "wide breit breed across widest bred brett",
    "depth": "deep tief diep deepest djup dyb dyp",
    "height": "high tall hoch hoog tallest highest hog høj høy",
    "length": "long lang longest",
    "thickness": "thick dick dik tjock stark",
    "diameter": "round rund ronde square sq",
}
AXIS_NOUNS: dict[str, Axis] = {word: axis for axis, words in _NOUNS.items() for word in words.split()}
AXIS_ADJECTIVES: dict[str, Axis] = {word: axis for axis, words in _ADJECTIVES.items() for word in words.split()}
AXIS_LETTERS: dict[str, Axis] = {
    "w": "width", "b": "width", "d": "depth", "t": "depth", "p": "depth", "h": "height", "l": "length", "ø": "diameter",
    "an": "width", "larg": "width", "anch": "width", "br": "width", "prof": "depth", "pr": "depth", "f": "depth",
    "al": "height", "alt": "height", "haut": "height", "wd": "width", "dp": "depth", "ht": "height", "hgt": "height",
    "lg": "length", "lgth": "length",
}  # fmt: skip
BY = {"x", "by", "mal", "por", "per", "bij", "gange"}
ORDER = re.compile(r"[wdhlbtp](?:x[wdhlbtp]){1,2}")
ORDER_WORDS = {"wdh", "whd", "hwd", "lwh", "lwd", "ldh", "dwh", "hbt", "bth", "bht", "lbh", "lph", "wxd"}
_UNIT = "|".join(sorted((re.escape(unit) for unit in UNITS if unit.isalpha()), key=len, reverse=True))
GLUED = re.compile(rf"(?P<unit>{_UNIT})?(?P<after>[wdhlbtp])?(?P<by>x)?(?P<before>[wdhlbtp]|dia)?")

# Germanic languages put a label and what it is about into one word: `Gesamthöhe`, `zithoogte`, `Sitthöjd`.
COMPOUND_LABEL = re.compile(
    r"(?P<about>[^\W\d_]{3,}?)(?P<axis>hohe|breite|tiefe|lange|durchmesser|starke|hoogte|breedte|diepte|lengte|dikte"
    r"|hojd|bredd|djup|langd|højde|høyde|bredde|dybde|længde)"
)
# Japanese and Chinese too: `座面高`, `シェード直径`.
COMPOUND_SIGNS = re.compile(r"(?P<about>.+?)(?P<axis>幅|奥行き?|高さ?|長さ?|直径|厚さ|厚み)")
WHOLES = {
    "全",
    "全体",
    "本体",
    "約",
    "tisch",
    "schrank",
    "bett",
    "regal",
    "lampen",
    "produkt",
    "korpus",
    "total",
    "hel",
}

FILLERS = _set(
    """
    of is are was approx approximately about around roughly ca c circa max maximum min minimum total measures
    measuring measure adjustable adjusts from between only just a in the up to over under overall ist betragt etwa
    environ env zirka de est es size ranges range cm mm inches ongeveer 約
    """
)
STOPPERS = _set(
    """
    and with but which plus or that while und mit et avec y con for suits fits so when where
    """
)
VAGUE = _set(
    """
    over under nearly almost least more less beyond above below than up fast uber plus
    """
)
LISTING = {"and", "or", "und", "oder", "et", "ou", "y", "o", "e"}
UNSURE = {
    "approx",
    "approximately",
    "about",
    "around",
    "roughly",
    "ca",
    "circa",
    "c",
    "env",
    "environ",
    "zirka",
    "etwa",
    "ongeveer",
    "約",
}

EXACT = {"exactly", "exact", "precisely", "actual", "actually", "genau", "exactement"}
SIZE_WORDS = _set(
    """
    dimension dimensions dims dim measurement measurements measures measuring measure size sizes sizing abmessungen
    masse mase maße dimensiones medidas dimensioni misure afmetingen afmeting taille format formaat groesse grosse
    spec specs specifications mesures サイズ 寸法 商品サイズ 本体サイズ 外寸 外形寸法
    storlek tamano talla taglia rozmiar wymiary mitat mål matt
    """
)
OVERALL = _set(
    """
    overall assembled total product item external exterior outer outside framed full complete gesamt entire whole
    gesamtmasse gesamtabmessungen aussen außen totale
    hors tout ingombro produkt produktmasse closed unextended folded-out standing listing shown pictured abgebildet
    aussenmass außenmaß buitenmaat cerrado cerrada chiuso chiusa ferme fermee geschlossen gesloten
    """
)
PACKAGE = _set(
    """
    package packages packaging packaged packed parcel parcels carton cartons shipping shipped ship ships shipment
    crate crates box boxes boxed delivery delivered gross verpackung versand karton paket packmass emballage colis
    梱包 梱包サイズ
    embalaje imballo imballaggio verpakking doos caja cajas scatola bulto paketmasse kartonmasse pakket forpackning
    emballasje
    """
)
NEVER = _set(
    """
    stacked stack soil planting rope ropes
    fits fit fitting suits suit suitable suitably accommodates accommodate holds hold compatible supports support tv
    tvs screen screens television televisions monitor monitors laptop laptops doorway doorways clearance distance
    apart spacing gap model person people adult wearing room rooms cable cord flex wire chain lead plug usb hose
    strap tape コード ceilings beds ceiling max-load opening hole holes extended extends extending extension
    extendable expanded expands leaf leaves reclined opened swatch sample kabel kabellange fabellange
    zuleitung rod rods stem pole viewing away higher lower taller wider deeper longer shorter increments doorways
    sofas entrance aperto aperta abierto abierta geoffnet
    """
)
# Where the words after a measurement stop belonging to it.
AFTERWARDS = STOPPERS | _set(
    """
    on at from to of off onto extends expands opens folds reclines converts adjusts extendable expandable ausziehbar
    extensible allungabile uitschuifbaar utdragbar
    """
)
# A part of the product: kept as second best for the axes where part and whole are nearly the same.
PARTS: dict[str, str] = _spread(
    {
        "seat": (
            "座面 座 "
            "seat seats seating sitzhohe sitztiefe sitzbreite sitz assise asiento zit zithoogte zitdiepte zitbreedte "
            "seduta sitzflache sitthojd sittdjup sittbredd sædehøjde"
        ),
        "arm": "肘 アーム arm arms armrest armrests armlehne armlehnen armlehn armleuning",
        "back": "back backrest backs lehne ruckenlehne dossier",
        "leg": "脚 leg legs foot bein beine fuss fusse fuß fuße feet pied pieds",
        "cushion": "cushion cushions pillow pillows kissen headrest",
        "mattress": "mattress mattresses matratze matelas liegeflache couchage rete lattenrost baddmatt sleeping sleep",
        "print": "print image artwork paper visible picture motif motiv unframed poster sheet bild photo",
        "frame": "frame moulding molding rahmen border",
        "mat": "mat passepartout matting mount",
        "drawer": "引き出し 引出し "
        "drawer drawers ladan ladans lador cassetto cassetti cajon cajones lade schublade schubladen tiroir",
        "shelf": "shelf shelves compartment compartments cubby cubbies fach shelving niche etagere",
        "inside": "内寸 内 interior inside internal inner inlet usable storage innen interieur",
        "canopy": "canopy rose baldachin rosette backplate plate bracket",
        "base": "base plinth sockel socle foundation",
        "shade": "シェード shade lampshade paralume pantalla lampenschirm schirm abatjour globe",
        "top": (
            "天板 "
            "tabletop top tischplatte tischplatten platte platten piano tablero blad plate plateau worktop surface "
            "counter countertop desktop"
        ),
        "headboard": "headboard footboard kopfteil siderail siderails bettseite seitenteil fussteil",
        "pile": "pile flor",
        "pot": "pot basket planter nursery topf container",
        "bulb": "bulb bulbs socket",
        "door": "door doors mirror-door glass",
        "under": "underneath beneath underside knee ground under legroom",
        "handle": "handle handles knob knobs",
        "bottom": "bottom",
        "rail": "dowel dowels rail rails crossbar slat slats spindle spindles",
        "basin": "sink sinks basin basins washbowl",
        "mirror": "mirror mirrors",
        "pad": "pad pads underlay liner lining backing",
        "edge": "edge bevel beveled bevelled rim lip hem",
        "wheel": "wheel wheels castor castors caster casters",
        "foam": "foam padding upholstery",
        "wall": "bolt screw screws nail hook hooks",
    }
)
# In which state a thing that folds was measured; which one stands in the room depends on its kind.
FOLDED = {"folded", "zusammengeklappt", "plie", "pliee", "plegado", "plegada", "piegato", "ingeklapt"}
UNFOLDED = {"unfolded", "aufgeklappt", "ausgeklappt", "deplie", "depliee", "desplegado", "desplegada", "uitgeklapt"}
# Things sold together with the product, measured beside it.
COMPANIONS = {"footstool", "ottoman", "pouf", "stool", "stools", "chairs", "bench", "hocker", "repose-pieds"}
BOXED = ("packag", "carton", "karton", "verpack", "paket", "emball", "imball", "embala", "shipp", "liefer", "versand")
INSIDE = ("innen", "inner", "binnen", "interior", "interieur", "intern")
# "including legs", "arm to arm": the words that follow do not narrow the measurement down to a part.
INCLUDING = _set(
    """
    including incl inc includes include with inkl mit avec con
    """
)
EXCLUDING = _set(
    """
    without excluding excl ohne sans sin
    """
)
# Words before a row of numbers that do not name another thing.
SAID = (
    FILLERS
    | SIZE_WORDS
    | LISTING
    | INCLUDING
    | AFTERWARDS
    | VAGUE
    | UNSURE
    | _set(
        """
    each one per piece set choose select pick footprint actual open lifted also available standard default regular
    para here this our your made handmade custom new colour color finish variant option
    stufenlos von ausgestreckt stretched outstretched
    """
    )
)
