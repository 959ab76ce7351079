"""What the people of a demo say."""

from __future__ import annotations

from core.feedback import FeedbackReason

NAMES = tuple(
    "Ada Amir Anouk Bruno Chiara Dmitri Elif Emeka Farah Giulia Hana Ines Jamal Jonas Kaito Lena Luca Mei Milan Nadia Noor Olu Pavel "
    "Priya Rafael Sanne Sofia Tariq Uma Viktor Wen Yara Zoe".split()
)
OPENINGS = ("", "", "", "Hi, ", "Hello! ", "Good morning, ", "Quick question: ", "Sorry to bother you, ")
FOLLOW_UPS = ("", "And ", "One more thing: ", "Thanks. ", "Also, ")
ENDINGS = ("", "", "", " Thanks!", " I could not find it in the docs.", " It is a bit urgent.")
UNKNOWN = (
    "Do you have an office in Lisbon where I could drop by?",
    "Can the bot book a table for our team dinner?",
    "Our finance team needs a W-9 form from you, where is it?",
    "Is there a student discount for the enterprise plan?",
    "Does it run on a Raspberry Pi Zero with 512 MB?",
    "Which of your competitors would you recommend for phone support?",
    "Kann ich die Rechnung auf Deutsch bekommen?",
    "¿Tienen un programa de socios en México?",
    "Can you import eight years of Zendesk tickets for us by Friday?",
    "What is the uptime guarantee in the contract we signed in 2024?",
)
PERSON = (
    "I want to talk to a person, please.",
    "Can somebody from your team call me?",
    "This is about a contract, I need a human.",
    "Please connect me with support.",
)
ANGRY = (
    "This is the third time I ask. This is useless, let me talk to somebody!",
    "ARE YOU SERIOUS? NOTHING WORKS AND NOBODY ANSWERS",
    "Honestly, a terrible experience. I want a human now!!!",
    "I am really disappointed. Where is a person who can help?",
)
CLARIFY = "I am not sure which of these you mean:"
NO_ANSWER = "I could not find a reliable answer to this. I have told a person on our team, who will come back to you here."
TO_A_PERSON = "Of course. I have told a person on our team, who will come back to you here."
MODELS = ("smollm2-135m@base", "support-2026-11@7c1e90d2")
INDEXES = ("sample-41f0c2", "sample-9be377")
SCORES = {
    "direct": (0.85, 0.99),
    "composed": (0.69, 0.93),
    "quoted": (0.69, 0.86),
    "clarify": (0.28, 0.5),
    "unknown": (0.03, 0.3),
    "person": (0.02, 0.4),
}
LIKED = {"direct": 0.93, "composed": 0.84, "quoted": 0.62, "clarify": 0.7}  # share of thumbs that are up
COMMENTS = {
    FeedbackReason.WRONG: ("That is not what I asked.", "The command does not exist in my version.", "This answers another question."),
    FeedbackReason.OUTDATED: ("The menu looks different since the update.", "This was true last year.", "The link is gone."),
    FeedbackReason.INCOMPLETE: ("And on Windows?", "It stops half way through.", "Which of the two files?"),
    FeedbackReason.RUDE: ("A bit short, isn't it?", "Sounds like a machine."),
    FeedbackReason.OTHER: ("I solved it myself.", "Please write it in plainer words.", "Too long to read on my phone."),
}
CORRECTED = (
    "See the settings page for the full list.",
    "On Windows, use the same command in PowerShell.",
    "Please allow up to a minute until it takes effect.",
)
STAFF = ("Bea", "Jonas", "Priya", "Samir")
GREETINGS = (
    "Hello! I have read what you asked and am looking into it. One moment, please.",
    "Hi, this is a person now. Could you tell me the e-mail address of your account?",
    "Thanks for waiting. I am asking a colleague and come back to you here today.",
)
SETTLED = (
    "It is done: you should see it after signing in again. Anything else?",
    "I have sent you the document by e-mail just now.",
    "That is not possible yet, but I have noted your vote for it. Is there something else I can do?",
    "Found it: the invoice was in another workspace. It is in yours now.",
)
