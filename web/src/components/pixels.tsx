// Small arrays of numbers as pictures with visible pixels.
import { useLayoutEffect, useRef } from "preact/hooks";
import { AGAINST, FOR } from "../lib/colors";

interface PixelsProps {
  width: number;
  height: number;
  label: string;
  class?: string;
  grid?: boolean;
  children?: preact.ComponentChildren;
}

interface GrayProps extends PixelsProps {
  /** 0 to 255 each, a channel or three. */
  bytes: Uint8Array;
}

/** An image as the network takes it: light ink on black, whatever the theme. */
export function GrayPixels({ bytes, ...rest }: GrayProps) {
  const channels = bytes.length / (rest.width * rest.height);
  return (
    <Pixels
      {...rest}
      fill={(data) => {
        for (let index = 0; index < rest.width * rest.height; index++) {
          for (let channel = 0; channel < 3; channel++) {
            data[4 * index + channel] = bytes[channels === 3 ? 3 * index + channel : index]!;
          }
          data[4 * index + 3] = 255;
        }
      }}
    />
  );
}

interface SignedProps extends PixelsProps {
  values: ArrayLike<number>;
  /** The absolute value that gets full strength; the largest one if not given. */
  limit?: number | undefined;
}

/** Blue for, vermilion against; the strength is the opacity, so 0 shows what lies behind. */
export function SignedPixels({ values, limit, ...rest }: SignedProps) {
  const most = limit ?? largest(values);
  return (
    <Pixels
      {...rest}
      fill={(data) => {
        for (let index = 0; index < values.length; index++) {
          const value = values[index]!;
          data.set(value > 0 ? FOR : AGAINST, 4 * index);
          data[4 * index + 3] = most > 0 ? Math.min(255, (255 * Math.abs(value)) / most) : 0;
        }
      }}
    />
  );
}

export function largest(values: ArrayLike<number>): number {
  let most = 0;
  for (let index = 0; index < values.length; index++) {
    most = Math.max(most, Math.abs(values[index]!));
  }
  return most;
}

function Pixels({
  width,
  height,
  label,
  fill,
  grid = false,
  class: name = "",
  children,
}: PixelsProps & { fill: (data: Uint8ClampedArray) => void }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  // In the frame that shows what belongs to it.
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    const image = context.createImageData(width, height);
    fill(image.data);
    context.putImageData(image, 0, 0);
  });
  return (
    <div class={`pixels ${grid ? "grid" : ""} ${name}`} style={{ "--columns": width, "--rows": height }}>
      <canvas ref={canvas} width={width} height={height} role="img" aria-label={label} />
      {children}
    </div>
  );
}
