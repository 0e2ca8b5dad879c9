using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The report in a real browser: it draws, complains of nothing, asks the network for nothing, and is used with keys and mouse.</summary>
[TestFixture]
[CancelAfter(120_000)]
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

    private static readonly string[] Pictures = ["timeline", "depth", "risk", "percentiles", "cdf"];

    private Browser _browser = null!;
    private string _folder = "";

    [OneTimeSetUp]
    public async Task Start()
    {
        if (Browser.Find() is not { } program)
        {
            Assert.Ignore("No Chromium is installed: apt-get install chromium");
            return;
        }

        _folder = Directory.CreateTempSubdirectory("abuse-report-").FullName;
        _browser = await Browser.StartAsync(program);
        await _browser.AddScriptAsync(Recorder);
    }

    [OneTimeTearDown]
    public async Task Stop()
    {
        if (_browser is not null)
        {
            await _browser.DisposeAsync();
            Directory.Delete(_folder, recursive: true);
        }
    }

    [TearDown]
    public void Nothing_was_complained_of()
    {
        Assert.That(_browser.Complaints, Is.Empty);
        Assert.That(_browser.Requests, Has.All.StartsWith("file:///").And.All.EndsWith("report.html"));
    }

    [Test]
    public async Task It_draws_every_picture_in_both_themes_and_at_any_width_and_no_labels_touch(
        [Values] ReportSample sample, [Values(360, 800, 1600)] int width, [Values] bool isDark)
    {
        await _browser.LookAsync(width, 900, isDark);
        await OpenAsync(sample);
        await KeepPictureAsync($"{sample}-{width}-{(isDark ? "dark" : "light")}");
        Assert.That(await _browser.EvaluateAsync<string[]>(TooWide), Is.Empty, "nothing is wider than the window");
        foreach (string picture in Pictures)
        {
            Assert.That(await InkAsync(picture), Is.GreaterThan(100), $"{picture} has ink");
            Label[] labels = await _browser.EvaluateAsync<Label[]>($"lastTexts('{picture}')");
            Assert.That(labels, Is.Not.Empty, picture);
            foreach (Label one in labels)
            {
                Assert.That(one.Left >= 0 && one.Right <= one.Width && one.Top >= 0 && one.Bottom <= one.Height, $"{picture}: {one} is within");
                Assert.That(labels.Where(other => other != one && other.Touches(one)), Is.Empty, $"{picture}: {one} touches nothing");
            }
        }
    }

    [Test]
    public async Task Every_operation_has_a_colour_of_its_own_in_the_timeline([Values] bool isDark)
    {
        await _browser.LookAsync(1600, 900, isDark);
        await OpenAsync(ReportSample.Faults);
        foreach (string op in (string[])["read", "write", "flush", "discard", "zeroes", "bad"])
        {
            Assert.That(await ColorAsync("timeline", op), Is.GreaterThan(2), op);
        }
    }

    [Test]
    public async Task The_button_changes_the_theme_and_back()
    {
        await _browser.LookAsync(800, 900, isDark: false);
        await OpenAsync(ReportSample.Faults);
        string before = await PageColorAsync();
        await _browser.EvaluateAsync<bool>("document.getElementById('theme').click(), true");
        await _browser.FrameAsync();
        Assert.That(await PageColorAsync(), Is.Not.EqualTo(before));
        Assert.That(await ColorAsync("timeline", "write"), Is.GreaterThan(0), "drawn anew in the colours of the theme");
        await _browser.EvaluateAsync<bool>("document.getElementById('theme').click(), true");
        Assert.That(await PageColorAsync(), Is.EqualTo(before));
    }

    [Test]
    public async Task Texts_and_lines_stand_out_from_what_is_behind_them_in_both_themes([Values] bool isDark)
    {
        await _browser.LookAsync(800, 900, isDark);
        await OpenAsync(ReportSample.Faults);
        foreach (string ground in (string[])["page", "panel"])
        {
            double[] behind = await LuminanceAsync(ground);
            foreach (string color in (string[])["ink", "muted", "bad", "good", "focus", "read", "write", "flush", "discard", "zeroes"])
            {
                double[] lights = [.. behind.Concat(await LuminanceAsync(color)).Order()];
                Assert.That((lights[1] + 0.05) / (lights[0] + 0.05), Is.GreaterThanOrEqualTo(4.5), $"{color} on {ground}: AA");
            }
        }
    }

    [Test]
    public async Task Tab_leads_to_the_pictures_and_the_arrow_keys_go_from_bio_to_bio()
    {
        await _browser.LookAsync(1200, 900, isDark: false);
        await OpenAsync(ReportSample.Failure);
        var reached = new List<string>();
        for (int i = 0; i < 40 && !reached.Contains("cdf"); i++)
        {
            await _browser.PressAsync("Tab");
            reached.Add(await _browser.EvaluateAsync<string>("document.activeElement.id || document.activeElement.tagName"));
            if (reached[^1] == "timeline")
            {
                Assert.That(await _browser.EvaluateAsync<string>("getComputedStyle(document.activeElement).outlineStyle"), Is.EqualTo("solid"), "the focus is seen");
                await GoThroughBiosAsync();
            }
        }

        Assert.That(reached, Does.Contain("theme").And.Contain("timeline").And.Contain("depth").And.Contain("risk").And.Contain("cdf"));
    }

    private async Task GoThroughBiosAsync()
    {
        var said = new List<string>();
        foreach (string key in (string[])["ArrowRight", "ArrowRight", "ArrowLeft", "End", "Home", "ArrowDown"])
        {
            await _browser.PressAsync(key);
            said.Add(await DetailAsync("timeline"));
        }

        Assert.That(said[0], Does.StartWith("Bio 0: Write of 1 KiB at 5120, Ok. Lost in the failure. Submitted at "));
        Assert.That(said[0], Does.Contain("From TinyLog.PutAsync (TinyLog.cs:"));
        Assert.That(said[1], Does.StartWith("Bio 1: Write of 512 B at 0, Ok. Submitted at "));
        Assert.That((said[2], said[4]), Is.EqualTo((said[0], said[0])));
        Assert.That(said[3], Does.StartWith("Bio 8: Flush, Ok. Submitted at "));
        Assert.That(said[5], Does.StartWith("Bio 2: Flush"), "the next that is special");
        await _browser.PressAsync("ArrowDown");
        Assert.That(await DetailAsync("timeline"), Does.StartWith("Mark at ").And.EndWith("round 1"));
    }

    [Test]
    public async Task Keys_and_mouse_zoom_and_move_what_all_three_pictures_show()
    {
        await _browser.LookAsync(1200, 900, isDark: false);
        await OpenAsync(ReportSample.Faults);
        await _browser.EvaluateAsync<bool>("document.getElementById('timeline').focus(), true");
        string whole = await RangeAsync();
        int drawn = await DrawnAsync("risk");
        await _browser.PressAsync("+", "+");
        string near = await RangeAsync();
        Assert.That(near, Is.Not.EqualTo(whole));
        Assert.That(await DrawnAsync("risk"), Is.GreaterThan(drawn));
        await _browser.PressAsync("ArrowRight", shift: true);
        Assert.That(await RangeAsync(), Is.Not.EqualTo(near));
        await _browser.PressAsync("0", "0");
        Assert.That(await RangeAsync(), Is.EqualTo(whole));

        double[] box = await _browser.EvaluateAsync<double[]>(
            "(() => { const b = document.getElementById('timeline').getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; })()");
        (double x, double y) = (box[0] + (box[2] / 2), box[1] + (box[3] / 2));
        await _browser.MouseAsync("mouseWheel", x, y, deltaY: -100, modifiers: 2);
        near = await RangeAsync();
        Assert.That(near, Is.Not.EqualTo(whole));
        await _browser.MouseAsync("mousePressed", x, y, button: "left");
        await _browser.MouseAsync("mouseMoved", x - 200, y, button: "left");
        await _browser.MouseAsync("mouseReleased", x - 200, y, button: "left");
        Assert.That(await RangeAsync(), Is.Not.EqualTo(near));
        for (int i = 0; i < 40 && !(await DetailAsync("timeline")).StartsWith("Bio ", StringComparison.Ordinal); i++)
        {
            await _browser.MouseAsync("mouseMoved", box[0] + 100 + (i * 25), box[1] + 100 + (i * 7));
        }

        Assert.That(await DetailAsync("timeline"), Does.StartWith("Bio "), "what is under the mouse is told");
        await _browser.EvaluateAsync<bool>("document.getElementById('axis').value = 'events', document.getElementById('axis').dispatchEvent(new Event('change')), true");
        Assert.That(await RangeAsync(), Does.StartWith("events "));
    }

    [Test]
    public async Task A_clock_that_stood_still_is_said_and_events_are_counted()
    {
        await _browser.LookAsync(800, 900, isDark: false);
        await OpenAsync(ReportSample.Still);
        Assert.That(await _browser.EvaluateAsync<string>("document.body.textContent"), Does.Contain("The clock did not go on").And.Contain("in events, since the clock did not go on"));
        Assert.That(await _browser.EvaluateAsync<bool>("document.getElementById('axis').disabled"), Is.True);
        Assert.That(await RangeAsync(), Does.StartWith("events 0 to "));
    }

    [Test]
    public async Task The_writes_of_the_failure_are_buttons_that_show_them()
    {
        await _browser.LookAsync(1200, 900, isDark: false);
        await OpenAsync(ReportSample.Failure);
        await _browser.EvaluateAsync<bool>("document.querySelector('#failure .show').click(), true");
        await _browser.FrameAsync();
        Assert.That(await _browser.EvaluateAsync<string>("document.activeElement.id"), Is.EqualTo("timeline"));
        Assert.That(await DetailAsync("timeline"), Does.StartWith("Bio 0: Write of 1 KiB at 5120, Ok. Lost in the failure."));
        Label[] labels = await _browser.EvaluateAsync<Label[]>("lastTexts('timeline')");
        Assert.That(labels.Select(static one => one.Text), Does.Contain("lost 0").And.Contain("power loss"));
    }

    [Test]
    public async Task What_others_wrote_is_text_wherever_it_stands()
    {
        await _browser.LookAsync(800, 900, isDark: false);
        await OpenAsync(ReportSample.Hostile);
        Assert.That(await _browser.EvaluateAsync<bool>("globalThis.stolen === undefined"));
        Assert.That(await _browser.EvaluateAsync<int>("document.querySelectorAll('img, iframe, object, script:not(#data)').length"), Is.EqualTo(1), "the one script");
        Assert.That(await _browser.EvaluateAsync<string>("document.title"), Is.EqualTo(ReportText.Clean(ReportSamples.Hostile)));
        await _browser.EvaluateAsync<bool>("document.getElementById('timeline').focus(), true");
        await _browser.PressAsync("ArrowDown");
        Assert.That(await DetailAsync("timeline"), Does.EndWith(ReportText.Clean(ReportSamples.Hostile)));
    }

    [Test]
    public async Task A_hundred_thousand_bios_are_small_and_open_without_a_stall()
    {
        await _browser.LookAsync(1600, 900, isDark: false);
        string path = await OpenAsync(ReportSample.Dense);
        long size = new FileInfo(path).Length;
        double ready = await _browser.EvaluateAsync<double>("+document.documentElement.dataset.ready");
        double frame = await _browser.EvaluateAsync<double>(
            "(() => { const start = performance.now(); document.querySelector('[data-do=in]').click(); return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)))); })()");
        double hover = await _browser.EvaluateAsync<double>("""
            (() => {
                const place = document.getElementById('timeline');
                const box = place.getBoundingClientRect();
                const start = performance.now();
                place.dispatchEvent(new PointerEvent('pointermove', {clientX: box.left + 400, clientY: box.top + 200}));
                return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start))));
            })()
            """);
        TestContext.Out.WriteLine($"100,000 bios: {size:N0} bytes, {ready:N0} ms to the first pictures, {frame:N0} ms to the next, {hover:N0} ms for a move of the mouse");
        Assert.That(await DetailAsync("timeline"), Does.StartWith("Bio "));
        Assert.That(size, Is.LessThan(10 << 20));
        Assert.That(ready, Is.InRange(1, 10_000), "it is there within seconds on the slowest of machines");
        Assert.That(await _browser.EvaluateAsync<string>("document.getElementById('timeline').dataset.dense"), Is.EqualTo("true"));
    }

    [Test]
    public async Task It_prints_in_the_colours_of_paper()
    {
        await _browser.LookAsync(1200, 900, isDark: true);
        await OpenAsync(ReportSample.Failure);
        Assert.That(await _browser.PrintAsync(), Has.Length.GreaterThan(10_000));
        await _browser.LookAsync(1200, 900, isDark: true, medium: "print");
        Assert.That(await PageColorAsync(), Is.EqualTo("rgb(255, 255, 255)"));
    }
}
