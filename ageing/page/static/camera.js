// Takes a photo with the camera.

const booth = document.getElementById("booth");
const video = booth.querySelector("video");

// Whether the browser gives pages like this one the camera's picture. It does not over the network without encryption.
export const live = Boolean(navigator.mediaDevices?.getUserMedia);

// A File with the photo, or null if it was cancelled. Throws what getUserMedia does if there is no camera.
export async function take() {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1920 }, facingMode: "user" } });
  video.srcObject = stream;
  booth.returnValue = "";
  booth.showModal();
  try {
    return await new Promise((resolve) => {
      booth.onclose = () => resolve(null);
      document.getElementById("shoot").onclick = () => {
        if (!video.videoWidth) return; // no picture yet
        const canvas = document.createElement("canvas");
        canvas.width = video.videoWidth;
        canvas.height = video.videoHeight;
        canvas.getContext("2d").drawImage(video, 0, 0);
        canvas.toBlob((blob) => resolve(new File([blob], "camera.jpg", { type: blob.type })), "image/jpeg", 0.95);
      };
    });
  } finally {
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
    booth.onclose = null;
    booth.close();
  }
}
