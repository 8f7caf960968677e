// The rater has just finished: her submission goes on its way; the button remains for when it does not.

document.getElementById("submission").requestSubmit();
