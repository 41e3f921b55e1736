// Line icons, 20 pixels, in the color of the text beside them.
const PATHS: Record<string, string> = {
  draw: "M4 16l1-4 8.5-8.5 3 3L8 15z M12 5l3 3",
  look: "M2.5 10S5.5 4.500 10 4.500 17.500 10 17.500 10 14.500 15.500 10 15.500 2.500 10 2.500 10z M10 7.700a2.300 2.300 0 100 4.600 2.300 2.300 0 000-4.600z",
  train: "M3 16.500V3.500 M3 16.500h14 M5.500 12l3.500-4 3 2.500L16.500 5",
  data: "M3.500 3.500h5v5h-5z M11.500 3.500h5v5h-5z M3.500 11.500h5v5h-5z M11.500 11.500h5v5h-5z",
  mistakes: "M10 3l7.500 13.500h-15z M10 8v4 M10 14.200v.3",
  undo: "M7 4L3.500 7.500 7 11 M3.500 7.500H12a4 4 0 010 8H8",
  clear: "M5 5l10 10 M15 5L5 15",
  picture: "M3 4h14v12H3z M3 13l4-4 3.500 3.500L13 10l4 4 M12.500 7.500h.1",
  light: "M10 6.500a3.500 3.500 0 100 7 3.500 3.500 0 000-7z M10 2v1.500 M10 16.500V18 M2 10h1.500 M16.500 10H18 M4.300 4.300l1.100 1.100 M14.600 14.600l1.100 1.100 M4.300 15.700l1.100-1.100 M14.600 5.400l1.100-1.100",
  dark: "M16.500 11.500A7 7 0 018.500 3.500a7 7 0 108 8z",
  auto: "M10 3a7 7 0 100 14z M10 3a7 7 0 010 14",
  dice: "M4 4h12v12H4z M7.500 7.500h.1 M12.500 12.500h.1 M7.500 12.500h.1 M12.500 7.500h.1 M10 10h.1",
  left: "M12 4.500L6.500 10l5.500 5.500",
  right: "M8 4.500l5.500 5.500L8 15.500",
  upload: "M10 13V4 M6.500 7.500L10 4l3.500 3.500 M3.500 13v3h13v-3",
  stop: "M5.500 5.500h9v9h-9z",
  play: "M6.500 4.500l9 5.500-9 5.500z",
};

export function Icon({ name }: { name: keyof typeof PATHS }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
