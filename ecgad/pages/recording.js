'use strict';
// The page of a recording: its parts, and how they speak with each other.

async function showRecording() {
  const recording = pageData();
  const ecg = new Ecg(recording.ecg, recording.leads, await pageBytes('ecg'));
  const { at, rr, score, verdict, reason } = recording.beats;
  const beats = (from, to) => {
    const found = [];
    for (let i = firstNotLess(at, from); i < at.length && at[i] < to; i++) {
      found.push({ at: at[i], rr: rr[i], score: score[i], verdict: verdict[i], reason: reason[i] });
    }
    return found;
  };
  // By the clock where the recording has one, else from its beginning.
  const { clock } = recording;
  const times = (seconds, decimals = 0) => {
    if (clock === null) return duration(seconds, decimals);
    const at = Math.round((clock + seconds) * 10 ** decimals) / 10 ** decimals;
    const days = Math.floor(at / 86400);
    return `${days ? `day ${days + 1}, ` : ''}${duration(at - 86400 * days, decimals)}`;
  };

  let viewer = null;
  if (recording.continuous) viewer = new Viewer(byId('ecg-view'), recording, ecg, beats, times);
  const show = viewer && ((seconds) => {
    viewer.centreOn(seconds);
    byId('ecg-view').scrollIntoView({ behavior: 'instant' });
    viewer.box.focus({ preventScroll: true });
  });
  const events = new Events(byId('events'), recording, ecg, beats, times, show);
  const go = (seconds) => (viewer ? show(seconds) : events.nearest(seconds));
  const course = new Course(byId('course'), recording, times, go, (range) => {
    if (range === null || !recording.events.all) course.select(null);
    events.within(course.range);
    if (viewer && range) viewer.moveTo(range[0]);
  });
  events.onleave = () => course.select(null);
  if (viewer) viewer.onmove = (from, to) => course.moveTo((from + to) / 2);
  document.documentElement.dataset.ready = 'yes';
}

showRecording().catch((error) => {
  byId('course').append(element('p', {},
    `The pictures of this page cannot be drawn here (${error.message}). It needs a browser of 2023 or later; the tables beside this file hold every beat.`));
});
