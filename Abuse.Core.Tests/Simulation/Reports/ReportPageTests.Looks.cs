using System.Text.RegularExpressions;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>What a page shows: its dots, its texts, its colours.</content>
internal sealed partial class ReportPageTests
{
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
