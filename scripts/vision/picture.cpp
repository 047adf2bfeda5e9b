// A picture as a viewer shows it: laid on white where it is transparent, and turned as its camera says. llama.cpp's helper
// leaves out what is transparent, so that black letters on nothing become black on black, and turns nothing.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <vector>

#include "mtmd.h"
#include "stb/stb_image.h"

namespace {

// RGBA to RGB, in place.
void lay_on_white(uint8_t * pixels, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const uint8_t * const from = pixels + 4 * i;
        const int alpha = from[3];
        for (int channel = 0; channel < 3; channel++) {
            pixels[3 * i + channel] = (uint8_t) ((from[channel] * alpha + 255 * (255 - alpha) + 127) / 255);
        }
    }
}

// A copy of RGB pixels, turned as Exif's `orientation` of 2 to 8 says. Its sides change places from 5 on.
std::vector<uint8_t> turned(const uint8_t * from, size_t width, size_t height, int orientation) {
    const bool lies = orientation >= 5;
    const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool from_below = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    std::vector<uint8_t> to(3 * width * height);
    uint8_t * out = to.data();
    for (size_t y = 0; y < (lies ? width : height); y++) {
        for (size_t x = 0; x < (lies ? height : width); x++, out += 3) {
            size_t column = lies ? y : x, row = lies ? x : y;
            if (from_right) column = width - 1 - column;
            if (from_below) row = height - 1 - row;
            std::memcpy(out, from + 3 * (row * width + column), 3);
        }
    }
    return to;
}

} // namespace

// Decodes the first picture of a PNG, JPEG, GIF or BMP file. `orientation`: from 1 to 8, as Exif numbers them (TIFF 6.0, tag
// 274). Returns null where the file cannot be decoded; else a bitmap for mtmd_bitmap_free.
extern "C" __attribute__((visibility("default"))) mtmd_bitmap * secllama_picture(
    const uint8_t * bytes, size_t length, int32_t orientation) {
    if (length > INT32_MAX) return nullptr;
    int width = 0, height = 0, channels = 0;
    if (!stbi_info_from_memory(bytes, (int) length, &width, &height, &channels)) return nullptr;
    // The fourth byte of a BMP's pixels is reserved, and often nothing or anything.
    const bool is_bmp = length >= 2 && bytes[0] == 'B' && bytes[1] == 'M';
    const int read = !is_bmp && (channels == 2 || channels == 4) ? 4 : 3;
    uint8_t * const from = stbi_load_from_memory(bytes, (int) length, &width, &height, &channels, read);
    if (from == nullptr) return nullptr;
    mtmd_bitmap * result = nullptr;
    try {
        const size_t w = (size_t) width, h = (size_t) height;
        if (read == 4) lay_on_white(from, w * h);
        if (orientation < 2 || orientation > 8) {
            result = mtmd_bitmap_init((uint32_t) w, (uint32_t) h, from);
        } else {
            const std::vector<uint8_t> pixels = turned(from, w, h, orientation);
            const bool lies = orientation >= 5;
            result = mtmd_bitmap_init((uint32_t) (lies ? h : w), (uint32_t) (lies ? w : h), pixels.data());
        }
    } catch (const std::bad_alloc &) {
        result = nullptr;
    }
    stbi_image_free(from);
    return result;
}
