// How large the window is, told while it changes and sent with the form.

const form = document.querySelector("form.measure");
const told = form.querySelector(".measured");
const sentence = form.querySelector("template").innerHTML;

function measure() {
  const { innerWidth: width, innerHeight: height } = window;
  const enough = width >= form.dataset.width && height >= form.dataset.height;
  form.elements.width.value = width;
  form.elements.height.value = height;
  told.querySelector(".size").textContent = sentence.replace("{width}", width).replace("{height}", height);
  told.querySelector(".enough").hidden = !enough;
  told.querySelector(".short").hidden = enough;
  told.hidden = false;
}

addEventListener("resize", measure);
measure();
