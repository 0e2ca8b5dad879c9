using System.Diagnostics;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>A headless Chromium with one page, driven by the DevTools protocol, that keeps what the page complained of and asked the network for.</summary>
internal sealed class Browser : IAsyncDisposable
{
    private readonly Process _process;
    private readonly string _profile;
    private readonly ClientWebSocket _socket = new();
    private readonly Dictionary<int, TaskCompletionSource<JsonElement>> _calls = [];
    private readonly Dictionary<string, TaskCompletionSource> _events = [];
    private readonly Lock _lock = new();
    private Task _reading = Task.CompletedTask;
    private string? _session;
    private int _id;

    private Browser(Process process, string profile)
    {
        _process = process;
        _profile = profile;
    }

    /// <summary>What the page wrote to its console, what it threw, and what its policy forbade.</summary>
    internal List<string> Complaints { get; } = [];

    /// <summary>What it asked for, but what it was told to open.</summary>
    internal List<string> Requests { get; } = [];

    internal static string? Find() => Array.Find(
        ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"], File.Exists);

    internal static async Task<Browser> StartAsync(string program)
    {
        string profile = Directory.CreateTempSubdirectory("abuse-browser-").FullName;
        var start = new ProcessStartInfo(program, [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-color-profile=srgb",
            "--remote-debugging-port=0", $"--user-data-dir={profile}", "about:blank",
        ])
        { RedirectStandardError = true, RedirectStandardOutput = true };
        var process = new Process { StartInfo = start, EnableRaisingEvents = true };
        var said = new StringBuilder();
        var address = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        process.Exited += (_, _) => address.TrySetException(new InvalidOperationException($"{program} ended: {said}"));
        process.OutputDataReceived += static (_, _) => { };
        process.ErrorDataReceived += (_, line) =>
        {
            const string Announced = "DevTools listening on ";
            said.AppendLine(line.Data);
            if (line.Data is { } text && text.StartsWith(Announced, StringComparison.Ordinal))
            {
                address.TrySetResult(text[Announced.Length..]);
            }
        };
        process.Start();
        process.BeginErrorReadLine();
        process.BeginOutputReadLine();
        var browser = new Browser(process, profile);
        try
        {
            await browser.ConnectAsync(new Uri(await address.Task.InTime()));
            return browser;
        }
        catch
        {
            await browser.DisposeAsync();
            throw;
        }
    }

    private async Task ConnectAsync(Uri address)
    {
        await _socket.ConnectAsync(address, CancellationToken.None).InTime();
        _reading = ReadAsync();
        JsonElement target = await CallAsync("Target.createTarget", new { url = "about:blank" });
        JsonElement attached = await CallAsync("Target.attachToTarget", new { targetId = target.GetProperty("targetId").GetString(), flatten = true });
        _session = attached.GetProperty("sessionId").GetString();
        foreach (string domain in (string[])["Page", "Runtime", "Log", "Network"])
        {
            await CallAsync($"{domain}.enable", new { });
        }
    }

    /// <summary>Has every page run a script before its own.</summary>
    internal Task AddScriptAsync(string source) => CallAsync("Page.addScriptToEvaluateOnNewDocument", new { source });

    /// <summary>Opens a file and waits until it was loaded.</summary>
    internal async Task OpenAsync(string path)
    {
        Complaints.Clear();
        Requests.Clear();
        Task loaded = Await("Page.loadEventFired");
        await CallAsync("Page.navigate", new { url = new Uri(path).AbsoluteUri });
        await loaded.InTime();
        await FrameAsync();
    }

    /// <summary>Shapes the page's window, its theme and its medium.</summary>
    internal async Task LookAsync(int width, int height, bool isDark, string medium = "screen")
    {
        await CallAsync("Emulation.setDeviceMetricsOverride", new { width, height, deviceScaleFactor = 1, mobile = false });
        await CallAsync("Emulation.setEmulatedMedia", new { media = medium, features = new[] { new { name = "prefers-color-scheme", value = isDark ? "dark" : "light" } } });
        await FrameAsync();
    }

    /// <summary>Waits until what was asked to be drawn was.</summary>
    internal Task FrameAsync() => EvaluateAsync<bool>("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))");

    internal async Task<T> EvaluateAsync<T>(string expression)
    {
        JsonElement answer = await CallAsync("Runtime.evaluate", new { expression, awaitPromise = true, returnByValue = true });
        Assert.That(answer.TryGetProperty("exceptionDetails", out JsonElement thrown), Is.False, $"{expression}: {thrown}");
        JsonElement result = answer.GetProperty("result");
        return result.TryGetProperty("value", out JsonElement value) ? value.Deserialize<T>(JsonSerializerOptions.Web)! : default!;
    }

    internal async Task PressAsync(string key, string? text = null, bool shift = false)
    {
        int code = key switch { "Tab" => 9, "Enter" => 13, "End" => 35, "Home" => 36, "ArrowLeft" => 37, "ArrowUp" => 38, "ArrowRight" => 39, "ArrowDown" => 40, _ => key[0] };
        foreach (string type in (string[])[text is null ? "rawKeyDown" : "keyDown", "keyUp"])
        {
            await CallAsync("Input.dispatchKeyEvent", new { type, key, code = key, windowsVirtualKeyCode = code, text = type == "keyDown" ? text! : "", modifiers = shift ? 8 : 0 });
        }

        await FrameAsync();
    }

    internal async Task MouseAsync(string type, double x, double y, int deltaY = 0, int modifiers = 0, string button = "none")
    {
        await CallAsync("Input.dispatchMouseEvent", new { type, x, y, deltaX = 0, deltaY, modifiers, button, clickCount = type is "mousePressed" or "mouseReleased" ? 1 : 0 });
        await FrameAsync();
    }

    internal async Task<byte[]> ScreenshotAsync() =>
        (await CallAsync("Page.captureScreenshot", new { format = "png", captureBeyondViewport = true })).GetProperty("data").GetBytesFromBase64();

    internal async Task<byte[]> PrintAsync() => (await CallAsync("Page.printToPDF", new { printBackground = false })).GetProperty("data").GetBytesFromBase64();

    private async Task<JsonElement> CallAsync(string method, object parameters)
    {
        var answer = new TaskCompletionSource<JsonElement>(TaskCreationOptions.RunContinuationsAsynchronously);
        int id;
        lock (_lock)
        {
            id = ++_id;
            _calls.Add(id, answer);
        }

        byte[] message = JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, object?>
        {
            ["id"] = id,
            ["method"] = method,
            ["params"] = parameters,
            ["sessionId"] = _session,
        }.Where(static pair => pair.Value is not null).ToDictionary());
        await _socket.SendAsync(message, WebSocketMessageType.Text, true, CancellationToken.None).InTime();
        return await answer.Task.InTime();
    }

    private Task Await(string method)
    {
        lock (_lock)
        {
            var fired = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _events[method] = fired;
            return fired.Task;
        }
    }

    private async Task ReadAsync()
    {
        var message = new MemoryStream();
        byte[] buffer = new byte[1 << 16];
        try
        {
            while (true)
            {
                WebSocketReceiveResult part = await _socket.ReceiveAsync(buffer, CancellationToken.None);
                message.Write(buffer, 0, part.Count);
                if (part.MessageType == WebSocketMessageType.Close)
                {
                    return;
                }

                if (part.EndOfMessage)
                {
                    Handle(JsonDocument.Parse(message.ToArray()).RootElement);
                    message.SetLength(0);
                }
            }
        }
        catch (WebSocketException)
        {
            // The browser ended.
        }
    }

    private void Handle(JsonElement message)
    {
        lock (_lock)
        {
            if (message.TryGetProperty("id", out JsonElement id))
            {
                _calls.Remove(id.GetInt32(), out TaskCompletionSource<JsonElement>? call);
                if (message.TryGetProperty("error", out JsonElement error))
                {
                    call?.SetException(new InvalidOperationException($"{error}"));
                }
                else
                {
                    call?.SetResult(message.GetProperty("result"));
                }

                return;
            }

            string method = message.GetProperty("method").GetString()!;
            if (method is "Runtime.consoleAPICalled" or "Runtime.exceptionThrown" or "Log.entryAdded")
            {
                Complaints.Add($"{method}: {message.GetProperty("params")}");
            }
            else if (method == "Network.requestWillBeSent")
            {
                Requests.Add(message.GetProperty("params").GetProperty("request").GetProperty("url").GetString()!);
            }

            if (_events.Remove(method, out TaskCompletionSource? fired))
            {
                fired.SetResult();
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync().InTime();
        await _reading.InTime();
        _socket.Dispose();
        _process.Dispose();
        Directory.Delete(_profile, recursive: true);
    }
}
