/** A nightjar before the moon, in the colours of the page. */
export const Mark = ({ size = 28 }: { size?: number }) => (
  <svg class="mark" width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
    <circle class="mark-moon" cx="20.5" cy="11" r="7.5" />
    <path class="mark-edge" d={BIRD} />
    <path class="mark-bird" d={BIRD} />
  </svg>
);

const BIRD = "M1.5 12.2C8.2 11.9 12.6 14 15.6 17.6 18.6 14.2 23.6 12.6 30.5 13.8 25.4 15.2 21.2 18.3 18.9 22L21.4 29.5 16 26 11 29 12.9 22C10.8 17.9 7 14.3 1.5 12.2Z";
