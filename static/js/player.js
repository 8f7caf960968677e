// Two videos as one: they start, pause, seek, loop and step together, and stay within a frame of each other. Both have
// the same number of frames at the same rate, so that a place in one is a place in the other. The left one leads; the
// right one is brought back to it by a slightly other speed, or by a seek when it is far off.

const SPEEDS = [0.25, 0.5, 1, 1.5, 2];
const NUDGE = 0.06; // of the speed, while the follower is off by part of a frame
const FAR = 1.5; // frames off before it is put where the other is
const WATCHED = 0.95; // of its length, for a video to count as seen

export class Player {
  constructor(changed) {
    this.changed = changed; // told when it plays or not, of its place, its speed, and whether both were watched
    this.speed = 1;
    this.loops = true;
    this.videos = [];
  }

  take(videos) {
    this.release();
    this.videos = videos;
    const { rate, frames } = videos[0].dataset;
    [this.rate, this.frames] = [Number(rate), Number(frames)];
    this.playing = false;
    this.shown = [0, 0]; // the number of the frame that each has presented last
    videos.forEach((video, side) => {
      video.playbackRate = this.speed;
      this.listen(video, side);
    });
    videos[0].addEventListener("ended", () => this.again(videos));
    videos[1].addEventListener("ended", () => this.again(videos));
    this.changed(this);
  }

  release() {
    for (const video of this.videos) video.pause();
    this.videos = [];
  }

  // Both can be played from here without a pause.
  static async ready(videos) {
    await Promise.all(videos.map((video) => new Promise((done, failed) => {
      if (video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA) done();
      video.addEventListener("canplay", done, { once: true });
      video.addEventListener("error", failed, { once: true });
      if (video.error) failed(video.error);
    })));
  }

  listen(video, side) {
    onFrame(video, (mediaTime) => {
      if (!this.videos.includes(video)) return;
      if (this.playing) {
        // Only then: after a seek the frame before may still be told of.
        this.shown[side] = Math.min(this.frames - 1, Math.round(mediaTime * this.rate));
        if (side === 1) this.keepUp();
        this.changed(this);
      }
      this.listen(video, side);
    });
  }

  // The follower's distance from the leader, in frames, from their clocks: what was presented last is older.
  keepUp() {
    const [leader, follower] = this.videos;
    const off = (leader.currentTime - follower.currentTime) * this.rate;
    if (Math.abs(off) > FAR && !leader.ended && !follower.ended) follower.currentTime = leader.currentTime;
    follower.playbackRate = this.speed * (1 + Math.max(-NUDGE, Math.min(NUDGE, off / 4)));
  }

  get place() {
    return this.shown[0];
  }

  get watched() {
    return this.videos.every((video) => {
      let seconds = 0;
      for (let part = 0; part < video.played.length; part += 1) seconds += video.played.end(part) - video.played.start(part);
      return seconds >= WATCHED * (this.frames / this.rate);
    });
  }

  async play() {
    if (this.videos.every((video) => video.ended)) this.seek(0);
    this.playing = true;
    this.changed(this);
    await Promise.all(this.videos.map((video) => video.play())).catch(() => this.pause());
  }

  pause() {
    this.playing = false;
    for (const video of this.videos) video.pause();
    this.seek(this.place);
  }

  toggle() {
    return this.playing ? this.pause() : this.play();
  }

  // Both at the end: both from the start again, or both stay there. The first to arrive waits.
  again(videos) {
    if (videos !== this.videos || !videos.every((video) => video.ended)) return;
    if (!this.loops) {
      this.playing = false;
      this.shown = [this.frames - 1, this.frames - 1];
      this.changed(this);
      return;
    }
    for (const video of videos) video.currentTime = 0;
    if (this.playing) this.play();
  }

  loop(on = !this.loops) {
    this.loops = on;
    this.changed(this);
  }

  // Into the middle of the frame, where no rounding of a container's times shows its neighbour.
  seek(frame) {
    const place = Math.max(0, Math.min(this.frames - 1, frame));
    this.shown = [place, place];
    for (const video of this.videos) video.currentTime = (place + 0.5) / this.rate;
    this.changed(this);
  }

  step(frames) {
    if (this.playing) this.pause();
    this.seek(this.place + frames);
  }

  faster(steps) {
    const now = SPEEDS.indexOf(this.speed);
    this.speed = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, now + steps))];
    for (const video of this.videos) video.playbackRate = this.speed;
    this.changed(this);
  }
}

// Told of every frame that is presented, by its time; of browsers that cannot tell, by the clock at each screen frame.
function onFrame(video, told) {
  if (video.requestVideoFrameCallback) video.requestVideoFrameCallback((_now, { mediaTime }) => told(mediaTime));
  else requestAnimationFrame(() => told(video.currentTime));
}
