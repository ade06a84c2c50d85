"""Hebrew and English as text: which of the two, sentences, stems, sounds, names. Pure."""
