//! Words by which options point at other options. Each list is one string, because rustfmt would put each element of a
//! list on a line of its own.

/// Words at the beginning of an English option that points at other options without naming them, such as "None of
/// these". Some of these words count only if other words follow.
pub(super) const QUANTIFIERS: &str = "\
    all none both neither any either some each everything nothing more no";

/// Words by which an English option points at other options.
pub(super) const POINTERS: &str = "\
    above these those them below preceding previous foregoing options option choices alternatives \
    answers answer responses others other";

/// Words that an English option that points at other options may also have.
pub(super) const FILLERS: &str = "\
    of the than one two three given mentioned listed stated said here is are was were correct true right \
    wrong incorrect false possible apply applies statements statement except but may can be and provided \
    follow follows following";

/// Words that can be beside the letters of an option such as "Both B and C are correct".
pub(super) const LABEL_FILLERS: &str = "\
    and or nor both only either neither all is are correct true right wrong false incorrect but not also \
    equally of the except option options opt answer answers choice choices as well together और व तथा एवं \
    या दोनों दोनो केवल सिर्फ न ना तो ही नहीं सही सत्य हैं है विकल्प भी y e o ni ou et und oder ambas \
    ambos son são correctas correctos verdaderas corretas sólo solo apenas las opciones les réponses \
    sont correctes beide sind richtig nur dan atau и или 和 与 與 及 或 都";

/// Words beside which a single letter points at an option. A single letter without these words points at no option.
pub(super) const SINGLE_LABEL_WORDS: &str = "\
    except only option options opt answer answers choice केवल सिर्फ विकल्प";

/// Words beside which numbers and Roman numerals stand for options.
pub(super) const NUMBER_WORDS: &str = "\
    both neither either option options answers choices दोनों विकल्प beide";

/// Phrases of other languages that point at all other options.
pub(super) const PHRASES: &str = "\
    उपरोक्त | उपर्युक्त | उपरोक्‍त | उपयुक्त सभी | उपर्युक्‍त | उक्त सभी | उक्त में से | ऊपर के सभी | \
    इनमें से | इनमे से | इन में से | ये सभी | यह सभी | वरील | यापैकी | উপরের | উপরোক্ত | কোনটিই নয় | \
    কোনোটিই নয় | সবগুলো | সবগুলি | ઉપરના | ઉપરોક્ત | આપેલ તમામ | આમાંથી | ਉਪਰੋਕਤ | ਇਹਨਾਂ ਵਿੱਚੋਂ | \
    மேற்கண்ட | மேலே உள்ள | இவற்றில் | இவை அனைத்தும் | పైవన్నీ | పైవేవీ | పై అన్నీ | ಮೇಲಿನ | \
    ಇವುಗಳಲ್ಲಿ | മുകളിൽ പറഞ്ഞ | ഇവയെല്ലാം | ഇവയൊന്നുമല്ല | مندرجہ بالا | ان میں سے | todas las anteriores | \
    todos los anteriores | ninguna de las | ninguno de los | todas as anteriores | todas as alternativas | \
    nenhuma das | nenhum dos | tutte le precedenti | nessuna delle | ci-dessus | aucune de ces | \
    aucune des | toutes ces réponses | toutes les réponses | alle oben | alle genannten | alle antworten | \
    keine der | keines der | semua benar | semua jawaban | semua di atas | tất cả | yukarıdakilerin | \
    hiçbiri | перечисленно | все ответы | все варианты | ما سبق | 以上都 | 以上皆 | 以上均 | 以上全 | 以上所有 | \
    以上选项 | 以上選項 | 以上各 | 上述 | 上記 | すべて正しい | どれでもない";

/// Returns whether a list of words, separated by spaces, has a word.
pub(super) fn has(list: &str, word: &str) -> bool {
    list.split(' ').any(|listed| listed == word)
}
