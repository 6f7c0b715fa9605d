# ruff: noqa: E501 - a lexicon: one noun a line reads better than wrapped rows
"""The lexicon: nouns, usual mount and usual size (width, depth, height in metres) of the things that stand in rooms."""

from vendors.local.facts.kinds import Kind, Mount

_SIZES = tuple[float, float, float]


def _kinds(mount: Mount, family: str, *rows: tuple[str, str, _SIZES, str]) -> list[Kind]:
    """Rows of (name, further nouns, size, marks); marks: `wh` pair, `tall` or `round` lead, `movable`, and traits."""
    return [_kind(mount, family, *row) for row in rows]


def _kind(mount: Mount, family: str, name: str, nouns: str, typical: _SIZES, marks: str) -> Kind:
    marked = set(marks.split())
    return Kind(
        name=name,
        words=f"{name},{nouns}" if nouns else name,
        mount=mount,
        typical=typical,
        pair="wh" if "wh" in marked else "wd",
        lead="height" if "tall" in marked else "diameter" if "round" in marked else "width",
        family=family if family != name else "",
        movable="movable" in marked,
        traits=frozenset(marked & {"flat", "lying", "bed", "round", "hangs", "soft", "small"}),
    )


_SEATING = [
    *_kinds(
        "floor",
        "sofa",
        (
            "sofa",
            "ソファ,ソファー,沙发,soffa,soffor,sofaer,2-sitssoffa,3-sitssoffa,couch,couche,settee,canape,divan,sofá,divano,zits,zitsbank,zitsbanken,banken,tweezitsbank,driezitsbank,divani,polstersofa,3 seater,2 seater,three seater,two seater",
            (2.1, 0.92, 0.84),
            "",
        ),
        (
            "sectional sofa",
            "canape d'angle,canape angle,divano angolare,sofa rinconera,hoekbank,hornsoffa,chaise sofa,sofa chaiselongue,sectional,corner sofa,corner couch,l-shaped sofa,u-shaped sofa,modular sofa,ecksofa",
            (2.75, 1.75, 0.84),
            "",
        ),
        ("loveseat", "love seat", (1.5, 0.9, 0.84), ""),
        (
            "sofa bed",
            "baddsoffa,baddsoffor,slaapbank,divano letto,divani letto,sofa cama,canape lit,canape convertible,sovesofa,sleeper sofa,sofabed,sleeper,schlafsofa,futon",
            (2.0, 0.95, 0.86),
            "",
        ),
        ("chaise longue", "chaise lounge,chaise,recamiere", (1.65, 0.75, 0.82), ""),
        ("daybed", "day bed", (2.05, 0.95, 0.75), ""),
    ),
    *_kinds(
        "floor",
        "chair",
        (
            "chair",
            "チェア,椅子,stol,stolar,stole,stoler,sillas,chaises,stoelen,cadeira,stuhl,stuhle,chaise de table,silla,sedia,sedie,stoel,seating",
            (0.55, 0.57, 0.84),
            "tall",
        ),
        (
            "armchair",
            "アームチェア,fatolj,fatoljer,laenestol,lænestol,lenestol,arm chair,sessel,fauteuil,sillon,poltrona,poltrone,butaca,club chair,wingback chair,wingback,wing chair,swivel chair,tub chair,barrel chair",
            (0.78, 0.8, 0.82),
            "",
        ),
        ("lounge chair", "easy chair,slipper chair,papasan,egg chair", (0.74, 0.8, 0.82), ""),
        ("accent chair", "occasional chair,reading chair", (0.72, 0.76, 0.82), ""),
        ("recliner", "reclining chair,recliner chair,relaxsessel", (0.9, 0.95, 1.02), ""),
        ("rocking chair", "rocker,glider", (0.7, 0.88, 0.98), "tall"),
        (
            "dining chair",
            "eetkamerstoel,eetkamerstoelen,ダイニングチェア,side chair,kitchen chair,esszimmerstuhl,carver chair",
            (0.5, 0.55, 0.83),
            "tall",
        ),
        (
            "office chair",
            "オフィスチェア,bureaustoel,bureaustoelen,kontorsstol,silla de oficina,chaise de bureau,sedia da ufficio,kontorstol,desk chair,task chair,gaming chair,ergonomic chair,burostuhl",
            (0.66, 0.66, 1.08),
            "tall",
        ),
        ("high chair", "highchair", (0.56, 0.6, 1.0), "tall"),
        ("garden chair", "patio chair,adirondack chair,outdoor chair,deck chair,folding chair", (0.62, 0.68, 0.86), ""),
        ("sun lounger", "sunlounger,chaise lounger,outdoor lounger", (0.65, 1.95, 0.4), "bed"),
    ),
    *_kinds("ceiling", "chair", ("hanging chair", "swing chair,hammock chair,porch swing", (1.0, 0.8, 1.3), "tall")),
    *_kinds(
        "floor",
        "stool",
        (
            "stool",
            "スツール,pall,pallar,kruk,sgabello,sgabelli,hocker,tabouret,taburete,step stool",
            (0.4, 0.4, 0.46),
            "tall",
        ),
        ("bar stool", "barstool,bar chair,counter stool,counter chair,barhocker", (0.45, 0.5, 1.0), "tall"),
        ("ottoman", "オットマン,footstool,foot stool,foot rest,footrest", (0.7, 0.55, 0.43), ""),
        ("pouf", "pouffe,floor cushion,floor pillow", (0.5, 0.5, 0.36), "round"),
        ("bean bag", "beanbag,sitzsack", (0.9, 0.9, 0.8), ""),
        (
            "bench",
            "ベンチ,bankje,sittbank,halbank,bancos,banc,sitzbank,banco,panca,entryway bench,storage bench",
            (1.2, 0.4, 0.46),
            "",
        ),
    ),
]
_TABLES = _kinds(
    "floor", "table",
    ("table", "テーブル,bord,mesas,tables,tafels,tisch,tische,mesa,tavolo,tavoli,tafel", (1.2, 0.75, 0.73), ""),
    ("coffee table", "ローテーブル,センターテーブル,茶几,soffbord,sofabord,salontafels,mesita de centro,tavolino da salotto,cocktail table,couchtisch,table basse,mesa de centro,tavolino,salontafel,centre table,center table", (1.1, 0.6, 0.42), ""),
    ("side table", "サイドテーブル,sidobord,bijzettafel,tavolino da lato,mesa auxiliar,tables d'appoint,table d'appoint,end table,accent table,beistelltisch,drink table,martini table,bout de canape,c table,lamp table,pedestal", (0.48, 0.45, 0.54), ""),
    ("nesting tables", "nest of 2 tables,nest of 3 tables,nest of two tables,nest of three tables,tables gigognes,satztische,satztisch,nest of tables,nesting table,nested table", (0.6, 0.5, 0.5), ""),
    ("console table", "hall table,sofa table,entry table,hallway table,console,konsole,konsolentisch,entryway table", (1.2, 0.36, 0.79), ""),
    ("dining table", "ダイニングテーブル,餐桌,matbord,spisebord,eetkamertafel,mesa de comedor,tavolo da pranzo,kitchen table,esstisch,dinner table,table a manger,farmhouse table,extending table,eettafel", (1.75, 0.92, 0.75), ""),
    ("bistro table", "pub table,bar table,high table,counter table,cafe table", (0.7, 0.7, 0.9), ""),
    ("desk", "デスク,机,skrivbord,bureaus,skrivebord,scrivania,escritorio,writing desk,computer desk,schreibtisch,bureau,standing desk,sit-stand desk,workstation,secretary", (1.25, 0.62, 0.75), "movable"),
    ("dressing table", "vanity,vanity table,makeup table,schminktisch", (1.05, 0.45, 0.78), ""),
    ("nightstand", "ナイトテーブル,sangbord,nachtkastje,natbord,night stand,bedside table,bedside cabinet,bedside,nachttisch,table de chevet,chevet,comodino,comodini,mesita de noche,mesilla,nachtkommode", (0.48, 0.4, 0.56), "movable"),
    ("bar cart", "drinks trolley,trolley,serving cart,bar trolley,kitchen cart", (0.75, 0.42, 0.82), ""),
    ("kitchen island", "", (1.3, 0.7, 0.92), ""),
)  # fmt: skip
_STORAGE = [
    *_kinds(
        "floor", "cabinet",
        ("cabinet", "キャビネット,skap,vitrinskap,kabinett,highboard cabinet,linneskap,schrankchen,cupboard,schrank,schranke,storage unit,kast,armario,display cabinet,china cabinet,curio,hutch,vitrine,file cabinet,filing cabinet", (0.85, 0.4, 1.3), "wh tall"),
        ("tv stand", "テレビ台,テレビボード,tv-meubel,tv-mobel,tv-bank,mueble tv,mueble de tv,mobile tv,porta tv,tv-bord,tv-mobler,tv unit,tv cabinet,tv console,tv table,tv bench,media console,media unit,media stand,entertainment center,entertainment unit,lowboard,tv board,tv lowboard,meuble tv", (1.55, 0.4, 0.53), "wh movable"),
        ("sideboard", "サイドボード,skank,credenze,sideboards,buffet,credenza,aparador,anrichte,enfilade,dressoir", (1.5, 0.43, 0.8), "wh"),
        ("dresser", "チェスト,como,cassettiere,cassettone,byra,cajonera,ladekast,kommod,comoda,cassettiera,chest of drawers,tallboy,kommode,commode,drawer chest,chest with drawers,drawers,highboard", (1.1, 0.46, 0.88), "wh"),
        ("wardrobe", "ワードローブ,garderob,kledingkast,guardaroba,armoire,closet,armadio,armadi,ropero,kleiderschrank,garment rack,clothes rack,clothing rack", (1.1, 0.58, 1.9), "wh tall"),
        ("bookcase", "本棚,シェルフ,cube unit,storage cube,cube shelf,cube bookcase,bokhylla,boekenkasten,libreria a muro,bogreol,libreria,estanteria,bookshelf,book shelf,book case,shelving unit,shelving,bucherregal,regal,shelf unit,ladder shelf,etagere,bibliotheque,display shelf,boekenkast,standing shelf,cube storage,room divider shelf", (0.8, 0.33, 1.75), "wh tall movable"),
        ("shoe cabinet", "shoe rack,shoe storage,schuhschrank", (0.8, 0.32, 0.9), "wh movable"),
        ("chest", "trunk,storage box,toy box,storage chest,blanket box,toy chest,truhe", (0.95, 0.45, 0.48), ""),
        ("coat rack", "kleiderstander,kapstok,porte-manteau,perchero,appendiabiti,kladhangare,coat stand,hall tree,hat stand,garderobenstander,coat tree", (0.5, 0.5, 1.75), "wh tall movable"),
        ("wine rack", "wine cabinet", (0.6, 0.3, 0.9), "wh tall movable"),
        ("room divider", "folding screen,privacy screen,paravent", (1.3, 0.03, 1.75), "wh tall"),
        ("umbrella stand", "", (0.25, 0.25, 0.5), "wh tall"),
        ("basket", "korbe,waschekorb,hamper,laundry basket,korb,storage basket,magazine rack", (0.4, 0.4, 0.42), "wh round"),
    ),
    *_kinds(
        "wall", "shelf",
        ("shelf", "hylla,hyllor,mensole,etagere murale,vagghylla,repisa,wandplanken,shelves,wandregal,estante,wandplank", (0.7, 0.22, 0.2), "wd movable"),
        ("wall shelf", "floating shelf,picture ledge,wall ledge,floating shelves,wall shelves,mensola,wall mounted shelf,schweberegal", (0.7, 0.2, 0.05), "wd lying"),
        ("wall cabinet", "mirror cabinet,mirrored cabinet,bathroom cabinet,spiegelschrank,armoire de toilette,medicine cabinet,hangeschrank,wall cupboard,wall mounted cabinet", (0.6, 0.25, 0.65), "wh"),
        ("wall hook rack", "coat hook,wall hook,hook rail,wall mounted coat rack,key holder,key rack,peg rail,towel rail,towel bar,coat hanger,wandgarderobe", (0.6, 0.08, 0.15), "wh"),
        ("headboard", "tete de lit,tetes de lit,cabecero,testiera,hoofdbord,sanggavel,bettkopfteil", (1.6, 0.08, 1.2), "wh"),
    ),
]  # fmt: skip
_BEDS = _kinds(
    "floor", "bed",
    ("bed", "ベッド,headboard and frame,headboard & frame,sang,sangar,bedden,letti,camas,seng,bett,betten,bed frame,bedframe,bedstead,platform bed,boxspring,box spring bed,boxspringbett,canopy bed,storage bed,cama,letto,panel bed,lit", (1.68, 2.12, 1.05), "bed"),
    ("bunk bed", "loft bed,etagenbett,hochbett,stapelbed", (1.05, 2.08, 1.65), "bed"),
    ("crib", "cot,toddler bed,bassinet,babybett,cradle,changing table", (0.72, 1.3, 0.95), "bed"),
    ("mattress", "マットレス,matratze,matelas,box spring,mattress topper,topper", (1.5, 2.0, 0.25), "bed lying"),
    ("pet bed", "dog bed,cat bed,hundebett,pet sofa", (0.8, 0.6, 0.22), "round"),
    ("cat tree", "scratching post,cat tower,kratzbaum", (0.5, 0.5, 1.3), "wh tall"),
)  # fmt: skip
_LIGHTS = [
    *_kinds(
        "floor", "lamp",
        ("lamp", "ランプ,ライト,照明,lampa,lampor,leuchte,leuchten,lampe,lampen,lampara,lampada,lampade,luminaire,lighting", (0.35, 0.35, 0.6), "wh tall movable round"),
        ("floor lamp", "フロアランプ,フロアライト,フロアスタンド,golvlampa,piantana,standing lamp,stehlampe,stehleuchte,lampadaire,arc lamp,torchiere,tripod lamp,lampara de pie,vloerlamp,lampada da terra,uplighter,floor light", (0.42, 0.42, 1.58), "wh tall"),
    ),
    *_kinds(
        "tabletop", "lamp",
        ("table lamp", "テーブルランプ,テーブルライト,bordslampa,lampara de mesa,abat-jour,tischlampe,tischleuchte,lampe de table,bedside lamp,table light,nachttischlampe,buffet lamp,mushroom lamp,lampada da tavolo,tafellamp", (0.32, 0.32, 0.5), "wh tall"),
        ("desk lamp", "task lamp,schreibtischlampe,reading lamp,banker's lamp,desk light,lampe de bureau", (0.25, 0.4, 0.5), "wh tall"),
        ("lantern", "hurricane lantern,laterne", (0.2, 0.2, 0.38), "wh tall movable"),
    ),
    *_kinds(
        "ceiling", "lamp",
        ("pendant light", "ペンダントライト,ペンダントランプ,lampara colgante,colgante,lampada a sospensione,sospensione,hanglamp,pendellampa,taklampa,lustre suspension,pendellampe,pendant,pendant lamp,hanging lamp,hanging light,pendelleuchte,hangelampe,hangeleuchte,suspension light,suspension lamp,suspension,hanglamp,pendelleuchten,linear suspension,pendel", (0.42, 0.42, 1.0), "wh round hangs"),
        ("chandelier", "kronleuchter,lustre,arana,kroonluchter,lampadario", (0.75, 0.75, 0.85), "wh round hangs"),
        ("ceiling light", "ceiling lamp,flush mount,semi flush mount,flushmount,deckenleuchte,deckenlampe,plafonnier,plafondlamp,ceiling fixture,plafoniera,semi-flush,semi-flush ceiling light,track light", (0.42, 0.42, 0.18), "wh round"),
        ("ceiling fan", "deckenventilator", (1.3, 1.3, 0.4), "wh round"),
        ("lamp shade", "lampshade,light shade,lampenschirm,pendant shade", (0.4, 0.4, 0.28), "wh round"),
    ),
    *_kinds(
        "wall", "lamp",
        ("wall light", "wall lamp,sconce,wall sconce,wandleuchte,wandlampe,applique,swing arm lamp,vanity light,picture light,aplique,wall fixture", (0.18, 0.2, 0.3), "wh tall"),
        ("neon sign", "led sign", (0.6, 0.03, 0.35), "wh flat"),
    ),
]  # fmt: skip
_WALL = _kinds(
    "wall", "wall art",
    ("wall art", "watercolour,watercolor,screen print,screenprint,linocut,etching,woodcut,drawing,oil on canvas,art print,print,poster,canvas,canvas print,canvas art,painting,artwork,wandbild,leinwandbild,affiche,framed print,framed art,framed art print,giclee,giclee print,lithograph,wall decor,wall hanging,wall sculpture,tableau,cuadro,wall panel,wall decal,photograph,triptych,schilderij,art prints,metal wall art,oil painting,kunstdruck,quadro", (0.6, 0.03, 0.8), "wh flat"),
    ("tapestry", "macrame wall hanging,woven wall hanging,wandteppich", (0.9, 0.03, 1.1), "wh flat"),
    ("mirror", "ミラー,鏡,spegel,speglar,spiegels,espejos,specchi,miroirs,wall mirror,spiegel,miroir,espejo,specchio,vanity mirror,wandspiegel,sunburst mirror,mantel mirror,overmantel mirror", (0.6, 0.04, 0.85), "wh flat movable round"),
    ("clock", "wall clock,wanduhr,horloge,reloj,wandklok,pendulum clock", (0.4, 0.05, 0.4), "wh flat round movable"),
    ("curtain", "カーテン,drape,vorhang,rideau,cortina,blackout curtain,roman blind,blind,window panel,sheer", (1.4, 0.06, 2.4), "wh flat soft"),
    ("wreath", "kranz", (0.45, 0.1, 0.45), "wh flat round"),
    ("radiator", "heizkorper,wall heater", (0.9, 0.1, 0.6), "wh"),
    ("picture frame", "wall frame,photo frame,bilderrahmen,cadre,shadow box,gallery frame,poster frame", (0.35, 0.025, 0.45), "wh flat movable"),
)  # fmt: skip
_DECOR = [
    *_kinds(
        "floor", "mirror",
        ("floor mirror", "standing mirror,leaning mirror,leaner mirror,full length mirror,full-length mirror,cheval mirror,standspiegel,arched floor mirror,length mirror,passpiegel", (0.7, 0.04, 1.7), "wh tall flat"),
    ),
    *_kinds(
        "tabletop", "decor",
        ("vase", "花瓶,フラワーベース,vas,jarrones,vases,vasen,vasi,jarron,flower vase,bud vase,florero,vaso,vaas", (0.2, 0.2, 0.32), "wh tall small"),
        ("table clock", "mantel clock,desk clock,alarm clock,tischuhr", (0.2, 0.08, 0.2), "wh tall"),
        ("table mirror", "tabletop mirror,makeup mirror,kosmetikspiegel", (0.25, 0.12, 0.38), "wh tall"),
        ("sculpture", "statue,figurine,bust,skulptur,decorative object,ornament,object,estatua,figure,scultura", (0.2, 0.15, 0.32), "wh tall small"),
        ("candle holder", "candlestick,candelabra,tea light holder,kerzenhalter,kerzenstander,candleholder,bougeoir", (0.12, 0.12, 0.22), "wh tall"),
        ("candle", "kerze,bougie", (0.09, 0.09, 0.12), "wh tall"),
        ("bowl", "schale,fruit bowl,schussel,bol", (0.3, 0.3, 0.11), "wh round"),
        ("tray", "tablett,plateau de service,serving board,cutting board", (0.42, 0.3, 0.05), "lying"),
        ("bookend", "bookends,book end", (0.14, 0.1, 0.17), "wh tall"),
        ("globe", "", (0.3, 0.3, 0.4), "wh tall"),
        ("desk organizer", "desk organiser,pen holder,monitor stand,monitor riser", (0.4, 0.22, 0.13), ""),
        ("jewelry box", "jewellery box,decorative box,trinket box", (0.25, 0.18, 0.12), ""),
        ("speaker", "soundbar,record player,turntable,radio", (0.4, 0.3, 0.22), "wh"),
        ("television", "tv set,smart tv,oled tv,fernseher", (1.23, 0.08, 0.72), "wh"),
        ("aquarium", "fish tank,terrarium", (0.6, 0.35, 0.4), "wh"),
        ("teapot", "kettle,pitcher,jug,carafe,mug,coffee maker,toaster", (0.22, 0.15, 0.22), "wh tall"),
    ),
    *_kinds(
        "ceiling",
        "planter",
        ("hanging planter", "plant hanger,macrame plant hanger,hanging basket,hanging pot", (0.25, 0.25, 0.8), "wh tall"),
    ),
    *_kinds(
        "floor", "planter",
        ("floor vase", "bodenvase,tall vase", (0.3, 0.3, 0.75), "wh tall"),
        ("planter", "hochbeet,raised bed,raised garden bed,pflanztopf,ubertopf,blumenkubel,bloempot,plantenbak,macetero,maceta,portavaso,cache-pot,kruka,blomkruka,plant pot,flower pot,flowerpot,cachepot,blumentopf,pflanzkubel,plant stand,planter pot,jardiniere,plant box,planter box,pot", (0.36, 0.36, 0.38), "wh tall small"),
        ("plant", "artificial plant,faux plant,faux tree,artificial tree,tree,fiddle leaf,fiddle leaf fig,monstera,olive tree,palm,fern,kunstpflanze,kunstbaum,ficus,succulent,potted plant,cactus,fake plant,plante", (0.6, 0.6, 1.35), "wh tall small"),
        ("christmas tree", "weihnachtsbaum", (1.1, 1.1, 1.9), "wh tall"),
    ),
    *_kinds(
        "floor", "rug",
        ("rug", "ラグ,カーペット,matta,mattor,vloerkleden,alfombras,ryamatta,area rug,carpet,teppich,teppiche,tapis,alfombra,tappeto,tappeti,kilim,sheepskin,hide,cowhide,vloerkleed,hochflorteppich", (1.6, 2.3, 0.012), "lying soft"),
        ("runner", "hallway runner,runner rug,laufer,hall runner", (0.75, 2.4, 0.01), "lying soft"),
        ("doormat", "door mat,bath mat,mat,fussmatte,playmat,play mat", (0.75, 0.45, 0.015), "lying soft"),
    ),
    *_kinds(
        "floor", "other",
        ("speaker stand", "speaker stands", (0.3, 0.3, 0.7), "wh tall"),
        ("parasol", "umbrella,patio umbrella,garden umbrella,market umbrella,sonnenschirm,sombrilla,ombrellone", (2.7, 2.7, 2.4), "round"),
        ("fireplace", "electric fireplace,stove,kamin,log burner,fire pit", (1.1, 0.35, 0.95), "wh movable"),
        ("fan", "tower fan,pedestal fan,ventilator", (0.35, 0.35, 1.1), "wh tall"),
        ("heater", "air purifier,humidifier,dehumidifier", (0.35, 0.25, 0.6), "wh tall"),
        ("bathtub", "bath tub,badewanne,freestanding bath,baignoire,ligbad", (1.65, 0.76, 0.6), ""),
        ("piano", "keyboard stand,digital piano", (1.4, 0.55, 1.0), "wh"),
        ("treadmill", "exercise bike,laufband", (0.8, 1.6, 1.3), "bed"),
        ("ladder", "blanket ladder,towel ladder", (0.5, 0.05, 1.7), "wh tall"),
        ("easel", "staffelei,chalkboard stand", (0.6, 0.6, 1.5), "wh tall"),
        ("trash can", "waste bin,bin,rubbish bin,garbage can,waste basket", (0.32, 0.32, 0.5), "wh tall"),
        ("rocking horse", "dollhouse,doll house,play kitchen,tipi,teepee", (0.8, 0.4, 0.8), "wh"),
    ),
    *_kinds(
        "unknown", "cushion",
        ("cushion", "クッション,throw pillow,pillow,cushion cover,kissen,coussin,scatter cushion,pillow cover,lumbar pillow,bolster", (0.45, 0.15, 0.45), "wh soft"),
        ("throw", "blanket,duvet,duvet cover,comforter,quilt,bedding,bed sheet,sheet set,decke,bedspread,slipcover,sofa cover,couch cover,chair cover,seat cover,mattress protector", (1.3, 1.7, 0.02), "lying soft"),
    ),
]  # fmt: skip

KINDS: tuple[Kind, ...] = (*_SEATING, *_TABLES, *_STORAGE, *_BEDS, *_LIGHTS, *_WALL, *_DECOR)
BY_NAME: dict[str, Kind] = {kind.name: kind for kind in KINDS}
