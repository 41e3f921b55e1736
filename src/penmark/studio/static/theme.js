// Before anything is drawn, so that the other theme does not flash up.
(() => {
  const theme = localStorage.getItem("penmark-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
