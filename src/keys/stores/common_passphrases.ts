/**
 * The thousand commonest passphrases of eight characters or more, in lower case: those of John the Ripper's password.lst
 * (Openwall, in the public domain; Debian's john-data 1.9.0), filled up with the first of zxcvbn's list (4.4.2, MIT, Dan Wheeler
 * and Dropbox). Both count what people chose on sites whose passwords became known. Shorter ones are refused by their length.
 */
const WORDS = `
password password1 123456789 12345678 1234567890 computer internet baseball michelle changeme
trustno1 butthead football iloveyou jennifer jonathan poohbear sunshine victoria whatever
alexander asdfjkl; basketball elephant goodluck lacrosse shithead stephanie a1b2c3d4 christin
franklin maryjane maverick mitchell mountain pearljam princess startrek steelers sunflower
superman benjamin bluebird chocolate cocacola einstein explorer flamingo katherine security
snowball thunderbird beautiful caroline charlotte crawford elizabeth firebird fletcher garfield
godzilla greenday icecream jeanette kathleen lionking margaret mariposa marlboro mercedes monopoly
nicholas penelope phoenix1 remember samantha scarlett snickers snoopdog spitfire starwars stingray
valentine veronica warriors zeppelin abcd1234 asdfasdf asdfghjk babydoll beatrice bluefish
bullshit business california carebear catalina catherine champion chelsea1 chester1 christian
colorado columbia commander creative danielle dickhead dragonfly electric excalibur francesco
francine francois fuckface goldfish gretchen harrison idontknow jordan23 kangaroo kimberly
lawrence liverpool marathon michael1 midnight montreal nirvana1 notebook patricia pinkfloyd
predator reynolds ricardo1 roadrunner robinhood rocknroll sapphire skywalker smashing snowflake
strawberry sundance superfly swimming teddybear thursday warcraft williams woofwoof wrangler
11111111 88888888 airborne anderson andromeda anything applepie aquarius asdf1234 bernardo
birthday blackjack blueeyes brewster butterfly calendar campbell catwoman chris123 christmas
christopher clueless confused corvette crusader cunningham darkstar december deeznuts director
dominique dontknow downtown dutchess enterprise ferguson fireball florida1 flowerpot freebird
froggies germany1 halloween hamilton happy123 happyday hardcore heather1 heather2 hedgehog
hello123 hellohello heythere highland hongkong indonesia isabelle jamesbond jeffrey1 justdoit
katerina kittycat kristine lonestar longhorn management marielle marshall meatloaf michigan
microsoft millenium moonbeam morpheus motorola munchkin mustang1 napoleon national newyork1
nintendo patriots peterpan phillips precious qwerty12 qwertyui rachelle redskins renegade
revolution richard1 richards richmond rootbeer ruthless saturday scoobydoo scooter1 scorpion
september skipper1 stargate starlight stranger superstar sweetpea swordfish tacobell thankyou
thompson thrasher tinkerbell treasure trombone ultimate vacation vincent1 virginia whocares
william1 winniethepooh wolfgang wolverine xxxxxxxx yogibear 00000000 1234qwer 99999999 anaconda
apollo13 blizzard cardinal carolina chandler charlie1 chiquita chocolat courtney dolphins fearless
guinness lorraine nebraska portland softball stephani valentin babygirl 987654321 spongebob
princesa iloveyou1 iloveyou2 fuckyou1 blessing blahblah blink182 passw0rd iloveyou! ilovegod
football1 emmanuel 1q2w3e4r spiderman simpsons november brooklyn darkness pineapple 1qaz2wsx
drowssap monkey12 wordpass q1w2e3r4 coolness 11235813 something alexandra estrella princess1
alejandro brittany alejandra tequiero fernando cristina babygurl mahalkita gabriela pictures
hellokitty babygirl1 angelica inuyasha sebastian 0123456789 barcelona slipknot cutiepie 789456123
portugal volleyball cristian chrisbrown lollipop qwertyuiop harrypotter ihateyou christine
johncena lovelove metallica myspace1 babyblue fernanda westlife slideshow asdfghjkl santiago
sweetheart 12345678910 leonardo sexygirl anthony1 skittles colombia christina teiubesc 147258369
francisco amorcito angelito manchester linkinpark bestfriend sporting truelove savannah scotland
ilovehim estrellita brandon1 loverboy 999999999 westside mauricio preciosa shopping isabella
martinez friendster valentina fuckyou2 sunshine1 gangster darkangel bettyboop jessica1 cheyenne
bestfriends daddysgirl billabong buttercup zacefron tokiohotel bubblegum lollypop sexybitch
hotstuff babylove angelina playgirl milagros margarita undertaker capricorn cheerleader password2
matthew1 carlitos michelle1 cinderella jesuschrist ilovejesus tazmania princesita jesucristo
lipgloss 741852963 hernandez pussycat gorgeous panthers hollywood kristina sexymama scarface
0987654321 jeremiah butterfly1 madalina anamaria jasmine1 bubbles1 diamonds friendship sweetness
february 87654321 twilight imissyou 147852369 123123123 babyface cassandra ncc1701d kingfish
babylon5 porsche911 training alexandr challenge coltrane fountain gabriell grateful metallic
ncc1701e republic research broadway acropolis blowfish cannondale cordelia database deadhead
feedback gargoyle intrepid johanna1 mortimer overkill prometheus rastafarian robotech salasana
scarecrow temporal terminal thejudge valhalla windsurf xcountry bismillah madeline sterling
aardvark aerobics allstate altamira asdf;lkj assmunch barnyard bluejean chainsaw chameleon
chouette clarkson concorde coolbean cornflake crescent daedalus dillweed fairview fishhead
flanders frederic front242 frontier gammaphi garfunkel gateway2 gilgamesh hawkeye1 hydrogen
instructor integral jeepster justice4 kalamazoo laserjet loislane makeitso mattingly mechanic
mobydick montana3 montrose neutrino newaccount nicklaus nightshade nightwing obsession paradigm
phialpha pianoman pipeline printing provider redcloud robotics rossignol schnapps services
shanghai sigmachi signature sprocket starbuck student2 tazdevil testtest thisisit tightend
transfer transport webmaster whoville 21122112 changeit christia christoph classroom macintosh
politics property jethrotull geronimo waterloo chinacat histoire thelorax good-luck homebrew
zhongguo sample123 informix majordomo !@#$%^&* raistlin sidekick hallowell hosehead lissabon
morecats performa newcourt q1w2e3r4t5 qwer1234 bigdaddy 12344321 liverpoo qwerty123 qazwsxedc
rush2112 1q2w3e4r5t 1qazxsw2 4815162342 platinum 01012011 11223344 lifehack 12qwaszx pakistan
redwings lasvegas alexande minecraft paradise bollocks qweasdzxc svetlana zaq12wsx 123456789a
1232323q 12345qwert semperfi cherokee vladimir passport infinity bulldogs 1234554321 budlight
usuckballz1 fktrcfylh kawasaki wildcats logitech swordfis juventus freeuser wolverin elizabet
password123 spiderma 123qweasd peekaboo rolltide chevelle fyfcnfcbz 123654789 darkside wolfpack
hercules letmein1 123456789q cjkysirj airplane freepass billybob tarheels 01011980 engineer
hellfire serenity 1029384756 pavilion 01012000 bobafett dbrnjhbz welcome1 defender presario
rockstar airforce thailand cadillac qazwsx123 123qweasdzxc assassin atlantis lonewolf software
srinivas veronika devildog soso123aljg mistress freedom1 basketba 31415926 shamrock deftones
enterpri 1234abcd trfnthbyf yankees1 bigboobs butterfl cavalier buckeyes 01011990 1qaz2wsx3edc
drpepper pornstar sherlock thuglife wetpussy consumer adgjmptw overlord 123qwe123 aleksandr
q1w2e3r4t5y6 wrinkle1 seminole alejandr concrete access14 letmein2 christop rhbcnbyf qazxswedc
cdtnkfyf stallion kingkong mongoose bluemoon a1234567 immortal 123454321 dietcoke hollywoo
14789632 bonehead ghbdtnbr charlott ilovesex 1123581321 sebastia werewolf eternity super123
cooldude tottenha stocking makaveli satan666 verbatim blackcat qwerty12345 punkrock 01012010
musicman seinfeld megadeth gn56gn56 skywalke squirrel stardust qazwsxed vanhalen 1234567a punisher
showtime ekaterina 111222333 hannibal thunder1 1q2w3e4r5t6y panasonic sandiego blackdog californ
playtime 1a2b3c4d chargers dingdong mushroom dkflbvbh guardian slapshot septembe 147896325
rammstein 123321123 1passwor barcelon starcraft shaney14 fuck_inside discover spanking meridian
stonecol 192837465 lowrider 25802580 zaq1xsw2 halflife 123698745 keyboard socrates formula1
qwerasdf mailcreated5240 asshole1 penguins 12369874 ragnarok dodgeram mustangs sithlord scoobydo
oblivion titleist zxcv1234 bigballs mersedes 12312312 patrick1 cowboys1 nuttertools 1122334455
gateway1 kingston pa55word freckles aspirine mariners 11112222 plymouth creampie 1234567q lightnin
caliente goodtime raiders1 brucelee redalert catherin porkchop qwert123 a1s2d3f4 qazwsxedcrfv
blackjac chevrole 01012001 amsterdam spectrum diamond1 123456qwerty labrador syracuse candyman
commando clitoris pineappl lesbians 8j4ye3uz romashka 123456aa gangbang spartans snuggles infiniti
1234567890q cosworth qawsedrf doberman porsche9 beefcake godsmack viktoria starfish achilles
ncc1701a arsenal1 sailboat jackson1 terminator phillies pa55w0rd swingers butthole doughboy
qwertyuio agent007 pinkfloy qwerty123456 dannyboy luckydog vfrcbvrf vkontakte mandingo dilligaf
bunghole golfball technics 01011991 15426378 aberdeen stripper hurrican rfnthbyf dthjybrf excalibu
melissa1 lancelot keystone passwort pokemon1 designer kamikaze warhammer macdaddy rangers1
manchest meatball eatpussy sentinel 123456789z jamesbon billyboy microsof microlab gordon24
pantyhos 01011985 73501505 passwor1 azsxdcfv charlton 01011970 bigmoney fordf150 saratoga wildfire
vladislav greenbay poiuytrewq chicken1 321654987 01011981 maradona rjirfrgbde rightnow hyperion
01011986 pass1234 poontang albatros kenworth dinosaur holyshit turkey50 ericsson chickens
zxcasdqwe fktrcfylhf polniypizdec0211 crazybab anhyeuem hardrock samsung1 abc12345 gandalf1
rockhard hellyeah skorpion australi america1 1qa2ws3ed 13243546 yosemite karolina starship
greatone 0.0.0.000 freeporn roadkill killbill 78945612
`;

export const COMMON_PASSPHRASES: ReadonlySet<string> = new Set(WORDS.trim().split(/\s+/));
