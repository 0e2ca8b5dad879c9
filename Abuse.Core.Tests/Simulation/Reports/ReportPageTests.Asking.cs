using System.Text.RegularExpressions;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>What the tests ask the page.</summary>
internal sealed partial class ReportPageTests
{
    /// <summary>Tells apart the texts of the last painting of each picture, and where they are.</summary>
    private const string Recorder = """
        const texts = [];
        const fill = CanvasRenderingContext2D.prototype.fillText;
        CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
            const width = this.measureText(text).width;
            const left = this.textAlign === 'right' ? x - width : x;
            const place = this.canvas.parentElement;
            texts.push({id: place.id, paint: place.dataset.drawn ?? 0, text, left, right: left + width, top: y - 5, bottom: y + 5, width: place.clientWidth, height: place.clientHeight});
            fill.call(this, text, x, y);
        };
        globalThis.dotsOf = canvas => {
            const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', {willReadFrequently: true});
            copy.drawImage(canvas, 0, 0);
            return copy.getImageData(0, 0, canvas.width, canvas.height).data;
        };
        globalThis.lastTexts = id => texts.filter(one => one.id === id && +one.paint === document.getElementById(id).dataset.drawn - 1);
        """;

    private const string TooWide = """
        document.documentElement.scrollWidth <= innerWidth ? []
            : [...document.querySelectorAll('body *')].filter(one => one.getBoundingClientRect().right > innerWidth && !one.closest('.table table')).map(one => one.outerHTML.slice(0, 100))
        """;

    private async Task<string> OpenAsync(ReportSample sample)
    {
        string path = Path.Combine(Directory.CreateDirectory(Path.Combine(_folder, $"{sample}")).FullName, "report.html");
        if (!File.Exists(path))
        {
            await ReportSamples.WriteAsync(sample, path);
        }

        await _browser.OpenAsync(path);
        Assert.That(await _browser.EvaluateAsync<string>("document.documentElement.dataset.ready"), Is.Not.Null, "the script came to its end");
        return path;
    }

    /// <summary>Dots of a picture that are not as the first one, which is empty.</summary>
    private Task<int> InkAsync(string picture) => _browser.EvaluateAsync<int>($$"""
        (() => {
            const canvas = document.querySelector('#{{picture}} canvas');
            const dots = new Uint32Array(dotsOf(canvas).buffer);
            return dots.reduce((sum, dot) => sum + (dot !== dots[0] ? 1 : 0), 0);
        })()
        """);

    /// <summary>Dots of a picture in one of the theme's colours.</summary>
    private Task<int> ColorAsync(string picture, string color) => _browser.EvaluateAsync<int>($$"""
        (() => {
            const canvas = document.querySelector('#{{picture}} canvas');
            const hex = getComputedStyle(document.documentElement).getPropertyValue('--{{color}}').trim();
            const [r, g, b] = [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16));
            const data = dotsOf(canvas);
            let sum = 0;
            for (let i = 0; i < data.length; i += 4) if (data[i] === r && data[i + 1] === g && data[i + 2] === b && data[i + 3] === 255) sum++;
            return sum;
        })()
        """);

    private Task<double[]> LuminanceAsync(string color) => _browser.EvaluateAsync<double[]>($$"""
        (() => {
            let hex = getComputedStyle(document.documentElement).getPropertyValue('--{{color}}').trim();
            if (hex.length === 4) hex = '#' + [...hex.slice(1)].map(digit => digit + digit).join('');
            const [r, g, b] = [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16) / 255).map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
            return [0.2126 * r + 0.7152 * g + 0.0722 * b];
        })()
        """);

    private Task<string> PageColorAsync() => _browser.EvaluateAsync<string>("getComputedStyle(document.documentElement).backgroundColor");

    private Task<string> DetailAsync(string picture) => _browser.EvaluateAsync<string>($"document.getElementById('{picture}-detail').textContent");

    private Task<string> RangeAsync() => _browser.EvaluateAsync<string>("document.getElementById('range').textContent");

    private Task<int> DrawnAsync(string picture) => _browser.EvaluateAsync<int>($"+document.getElementById('{picture}').dataset.drawn");

    /// <summary>For people who change the page: pictures of it, where ABUSE_REPORT_PICTURES says.</summary>
    private async Task KeepPictureAsync(string name)
    {
        if (Environment.GetEnvironmentVariable("ABUSE_REPORT_PICTURES") is { } folder)
        {
            await File.WriteAllBytesAsync(Path.Combine(folder, NotInNames().Replace(name, "-") + ".png"), await _browser.ScreenshotAsync());
        }
    }

    [GeneratedRegex("[^A-Za-z0-9-]")]
    private static partial Regex NotInNames();

    /// <summary>A text in a picture.</summary>
    internal sealed record Label(string Text, double Left, double Right, double Top, double Bottom, double Width, double Height)
    {
        internal bool Touches(Label other) => Left < other.Right && other.Left < Right && Top < other.Bottom && other.Top < Bottom;
    }
}
