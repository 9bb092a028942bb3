"""What the demo's customers write: emails, comments and posts, in English and Italian."""

EMAILS = {
    "it": [
        (
            "Il pacco non è ancora arrivato",
            "Buongiorno, il mio pacco non è arrivato e aspetto da dieci giorni. Sono molto delusa.",
        ),
        ("Una domanda", "Ciao, spedite anche in Svizzera? E quanto costa la spedizione?"),
        ("Grazie!", "Il miele di castagno è buonissimo, grazie di cuore. Lo regalerò a mia madre."),
        ("Fattura", "Buongiorno, potete mandarmi la fattura dell'ultimo ordine? Grazie."),
        (
            "Vasetto rotto",
            "Il vasetto di miele è arrivato rotto e il cartone era tutto appiccicoso. Vorrei un rimborso.",
        ),
        ("Un'idea", "Perché non fate una marmellata di sambuco? La comprerei subito!"),
    ],
    "en": [
        ("Where is my parcel?", "Hello, my parcel never arrived and I am still waiting. This is really disappointing."),
        ("A question", "Hi, is the rose soap suitable for babies?"),
        ("Lovely", "The acacia honey is wonderful, thank you so much. My children love it."),
        ("Wrong jar", "You sent me the wrong product: quince instead of honey. Could you please send a replacement?"),
        ("Gift wrap", "Could you wrap the next order as a gift? I would like to surprise a friend."),
        ("Thank you", "Fast delivery and great quality, I will recommend you to everyone."),
    ],
}
OUT_OF_OFFICE = {
    "it": ("Risposta automatica: ", "Sono in ferie fino a lunedì."),
    "en": ("Automatic reply: ", "I am out of the office until Monday."),
}
COMMENTS = {
    "it": {"low": "La consegna è stata lentissima e nessuno ha risposto.", "high": "Sapori veri e persone gentili."},
    "en": {"low": "Delivery was slow and the box was damaged.", "high": "Honest food and kind people."},
}
POSTS = [
    ("lucia_in_cucina", "Il miele di @bottega sulla ricotta: meraviglioso. Provatelo! 🍯"),
    ("finn_bakes", "Quince jam from @bottega on fresh bread. Best breakfast of the year 😍"),
    ("torinese77", "@bottega ordine arrivato in ritardo e nessuna risposta, pessimo servizio 😡"),
    ("nora_reads", "@bottega do you ship to Ireland?"),
    ("paolo_orto", "Grazie @bottega per le ricette nella newsletter, utilissime!"),
]
COMMENTED = [
    ("Giovanna Riva", "Sulla polenta! E poi sul formaggio. Rosa ha ragione 😄"),
    ("Piero Lombardi", "Ordinata due settimane fa e ancora niente, sono deluso."),
    ("Helen Marsh", "Do you ship the spring box to Scotland?"),
]
