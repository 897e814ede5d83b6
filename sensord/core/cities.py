"""Which city or prefecture each letter of a province's plates names, in Chinese and English.

Source: the administrative prefixes of civil plates (GA 36-2018; the letters are assigned by the provinces'
traffic police). The table was held letter by letter against two public ones (``plateAreaData`` of busPlate, and
an insurer's rule table), where those agree with each other and with today's cities: Laiwu (鲁S) is Jinan's,
Songhuajiang (黑L) is Harbin's, Dongchuan (云V) is Kunming's, Yinnan (宁C) is Wuzhong; letters given out since are
苏U 鄂W 豫V 陕U 琼F 渝D. Letters of offices (黑R 闽K 藏H 藏J), of a dissolved city (皖Q) and of Hainan's counties
(琼C 琼D) name no city. English names are pinyin, and Mongolian, Tibetan and Uyghur ones are as maps have them.
"""

from __future__ import annotations

_TABLE = """
冀 A 石家庄 Shijiazhuang, B 唐山 Tangshan, C 秦皇岛 Qinhuangdao, D 邯郸 Handan, E 邢台 Xingtai, F 保定 Baoding
冀 G 张家口 Zhangjiakou, H 承德 Chengde, J 沧州 Cangzhou, R 廊坊 Langfang, S 沧州 Cangzhou, T 衡水 Hengshui
晋 A 太原 Taiyuan, B 大同 Datong, C 阳泉 Yangquan, D 长治 Changzhi, E 晋城 Jincheng, F 朔州 Shuozhou
晋 H 忻州 Xinzhou, J 吕梁 Lüliang, K 晋中 Jinzhong, L 临汾 Linfen, M 运城 Yuncheng
蒙 A 呼和浩特 Hohhot, B 包头 Baotou, C 乌海 Wuhai, D 赤峰 Chifeng, E 呼伦贝尔 Hulunbuir, F 兴安 Hinggan
蒙 G 通辽 Tongliao, H 锡林郭勒 Xilingol, J 乌兰察布 Ulanqab, K 鄂尔多斯 Ordos, L 巴彦淖尔 Bayannur
蒙 M 阿拉善 Alxa
辽 A 沈阳 Shenyang, B 大连 Dalian, C 鞍山 Anshan, D 抚顺 Fushun, E 本溪 Benxi, F 丹东 Dandong, G 锦州 Jinzhou
辽 H 营口 Yingkou, J 阜新 Fuxin, K 辽阳 Liaoyang, L 盘锦 Panjin, M 铁岭 Tieling, N 朝阳 Chaoyang
辽 P 葫芦岛 Huludao
吉 A 长春 Changchun, B 吉林 Jilin, C 四平 Siping, D 辽源 Liaoyuan, E 通化 Tonghua, F 白山 Baishan
吉 G 白城 Baicheng, H 延边 Yanbian, J 松原 Songyuan
黑 A 哈尔滨 Harbin, B 齐齐哈尔 Qiqihar, C 牡丹江 Mudanjiang, D 佳木斯 Jiamusi, E 大庆 Daqing, F 伊春 Yichun
黑 G 鸡西 Jixi, H 鹤岗 Hegang, J 双鸭山 Shuangyashan, K 七台河 Qitaihe, L 哈尔滨 Harbin, M 绥化 Suihua
黑 N 黑河 Heihe, P 大兴安岭 Daxing'anling
苏 A 南京 Nanjing, B 无锡 Wuxi, C 徐州 Xuzhou, D 常州 Changzhou, E 苏州 Suzhou, F 南通 Nantong
苏 G 连云港 Lianyungang, H 淮安 Huai'an, J 盐城 Yancheng, K 扬州 Yangzhou, L 镇江 Zhenjiang, M 泰州 Taizhou
苏 N 宿迁 Suqian, U 苏州 Suzhou
浙 A 杭州 Hangzhou, B 宁波 Ningbo, C 温州 Wenzhou, D 绍兴 Shaoxing, E 湖州 Huzhou, F 嘉兴 Jiaxing
浙 G 金华 Jinhua, H 衢州 Quzhou, J 台州 Taizhou, K 丽水 Lishui, L 舟山 Zhoushan
皖 A 合肥 Hefei, B 芜湖 Wuhu, C 蚌埠 Bengbu, D 淮南 Huainan, E 马鞍山 Ma'anshan, F 淮北 Huaibei
皖 G 铜陵 Tongling, H 安庆 Anqing, J 黄山 Huangshan, K 阜阳 Fuyang, L 宿州 Suzhou, M 滁州 Chuzhou, N 六安 Lu'an
皖 P 宣城 Xuancheng, R 池州 Chizhou, S 亳州 Bozhou
闽 A 福州 Fuzhou, B 莆田 Putian, C 泉州 Quanzhou, D 厦门 Xiamen, E 漳州 Zhangzhou, F 龙岩 Longyan
闽 G 三明 Sanming, H 南平 Nanping, J 宁德 Ningde
赣 A 南昌 Nanchang, B 赣州 Ganzhou, C 宜春 Yichun, D 吉安 Ji'an, E 上饶 Shangrao, F 抚州 Fuzhou
赣 G 九江 Jiujiang, H 景德镇 Jingdezhen, J 萍乡 Pingxiang, K 新余 Xinyu, L 鹰潭 Yingtan, M 南昌 Nanchang
鲁 A 济南 Jinan, B 青岛 Qingdao, C 淄博 Zibo, D 枣庄 Zaozhuang, E 东营 Dongying, F 烟台 Yantai, G 潍坊 Weifang
鲁 H 济宁 Jining, J 泰安 Tai'an, K 威海 Weihai, L 日照 Rizhao, M 滨州 Binzhou, N 德州 Dezhou, P 聊城 Liaocheng
鲁 Q 临沂 Linyi, R 菏泽 Heze, S 济南 Jinan, U 青岛 Qingdao, V 潍坊 Weifang, Y 烟台 Yantai
豫 A 郑州 Zhengzhou, B 开封 Kaifeng, C 洛阳 Luoyang, D 平顶山 Pingdingshan, E 安阳 Anyang, F 鹤壁 Hebi
豫 G 新乡 Xinxiang, H 焦作 Jiaozuo, J 濮阳 Puyang, K 许昌 Xuchang, L 漯河 Luohe, M 三门峡 Sanmenxia
豫 N 商丘 Shangqiu, P 周口 Zhoukou, Q 驻马店 Zhumadian, R 南阳 Nanyang, S 信阳 Xinyang, U 济源 Jiyuan
豫 V 郑州 Zhengzhou
鄂 A 武汉 Wuhan, B 黄石 Huangshi, C 十堰 Shiyan, D 荆州 Jingzhou, E 宜昌 Yichang, F 襄阳 Xiangyang
鄂 G 鄂州 Ezhou, H 荆门 Jingmen, J 黄冈 Huanggang, K 孝感 Xiaogan, L 咸宁 Xianning, M 仙桃 Xiantao
鄂 N 潜江 Qianjiang, P 神农架 Shennongjia, Q 恩施 Enshi, R 天门 Tianmen, S 随州 Suizhou, W 武汉 Wuhan
湘 A 长沙 Changsha, B 株洲 Zhuzhou, C 湘潭 Xiangtan, D 衡阳 Hengyang, E 邵阳 Shaoyang, F 岳阳 Yueyang
湘 G 张家界 Zhangjiajie, H 益阳 Yiyang, J 常德 Changde, K 娄底 Loudi, L 郴州 Chenzhou, M 永州 Yongzhou
湘 N 怀化 Huaihua, U 湘西 Xiangxi
粤 A 广州 Guangzhou, B 深圳 Shenzhen, C 珠海 Zhuhai, D 汕头 Shantou, E 佛山 Foshan, F 韶关 Shaoguan
粤 G 湛江 Zhanjiang, H 肇庆 Zhaoqing, J 江门 Jiangmen, K 茂名 Maoming, L 惠州 Huizhou, M 梅州 Meizhou
粤 N 汕尾 Shanwei, P 河源 Heyuan, Q 阳江 Yangjiang, R 清远 Qingyuan, S 东莞 Dongguan, T 中山 Zhongshan
粤 U 潮州 Chaozhou, V 揭阳 Jieyang, W 云浮 Yunfu, X 佛山 Foshan, Y 佛山 Foshan
桂 A 南宁 Nanning, B 柳州 Liuzhou, C 桂林 Guilin, D 梧州 Wuzhou, E 北海 Beihai, F 崇左 Chongzuo, G 来宾 Laibin
桂 H 桂林 Guilin, J 贺州 Hezhou, K 玉林 Yulin, L 百色 Baise, M 河池 Hechi, N 钦州 Qinzhou
桂 P 防城港 Fangchenggang, R 贵港 Guigang
琼 A 海口 Haikou, B 三亚 Sanya, E 洋浦 Yangpu, F 儋州 Danzhou
渝 C 永川 Yongchuan, F 万州 Wanzhou, G 涪陵 Fuling, H 黔江 Qianjiang
川 A 成都 Chengdu, B 绵阳 Mianyang, C 自贡 Zigong, D 攀枝花 Panzhihua, E 泸州 Luzhou, F 德阳 Deyang
川 G 成都 Chengdu, H 广元 Guangyuan, J 遂宁 Suining, K 内江 Neijiang, L 乐山 Leshan, M 资阳 Ziyang
川 Q 宜宾 Yibin, R 南充 Nanchong, S 达州 Dazhou, T 雅安 Ya'an, U 阿坝 Aba, V 甘孜 Ganzi, W 凉山 Liangshan
川 X 广安 Guang'an, Y 巴中 Bazhong, Z 眉山 Meishan
贵 A 贵阳 Guiyang, B 六盘水 Liupanshui, C 遵义 Zunyi, D 铜仁 Tongren, E 黔西南 Qianxinan, F 毕节 Bijie
贵 G 安顺 Anshun, H 黔东南 Qiandongnan, J 黔南 Qiannan
云 A 昆明 Kunming, C 昭通 Zhaotong, D 曲靖 Qujing, E 楚雄 Chuxiong, F 玉溪 Yuxi, G 红河 Honghe, H 文山 Wenshan
云 J 普洱 Pu'er, K 西双版纳 Xishuangbanna, L 大理 Dali, M 保山 Baoshan, N 德宏 Dehong, P 丽江 Lijiang
云 Q 怒江 Nujiang, R 迪庆 Diqing, S 临沧 Lincang, V 昆明 Kunming
藏 A 拉萨 Lhasa, B 昌都 Qamdo, C 山南 Shannan, D 日喀则 Shigatse, E 那曲 Nagqu, F 阿里 Ngari, G 林芝 Nyingchi
陕 A 西安 Xi'an, B 铜川 Tongchuan, C 宝鸡 Baoji, D 咸阳 Xianyang, E 渭南 Weinan, F 汉中 Hanzhong, G 安康 Ankang
陕 H 商洛 Shangluo, J 延安 Yan'an, K 榆林 Yulin, U 西安 Xi'an, V 杨凌 Yangling
甘 A 兰州 Lanzhou, B 嘉峪关 Jiayuguan, C 金昌 Jinchang, D 白银 Baiyin, E 天水 Tianshui, F 酒泉 Jiuquan
甘 G 张掖 Zhangye, H 武威 Wuwei, J 定西 Dingxi, K 陇南 Longnan, L 平凉 Pingliang, M 庆阳 Qingyang
甘 N 临夏 Linxia, P 甘南 Gannan
青 A 西宁 Xining, B 海东 Haidong, C 海北 Haibei, D 黄南 Huangnan, E 海南 Hainan, F 果洛 Golog, G 玉树 Yushu
青 H 海西 Haixi
宁 A 银川 Yinchuan, B 石嘴山 Shizuishan, C 吴忠 Wuzhong, D 固原 Guyuan, E 中卫 Zhongwei
新 A 乌鲁木齐 Urumqi, B 昌吉 Changji, C 石河子 Shihezi, D 奎屯 Kuytun, E 博尔塔拉 Bortala, F 伊犁 Ili
新 G 塔城 Tacheng, H 阿勒泰 Altay, J 克拉玛依 Karamay, K 吐鲁番 Turpan, L 哈密 Hami, M 巴音郭楞 Bayingolin
新 N 阿克苏 Aksu, P 克孜勒苏 Kizilsu, Q 喀什 Kashgar, R 和田 Hotan
"""
CITIES: dict[str, tuple[str, str]] = {
    f"{line[0]}{letter}": (chinese, english)
    for line in _TABLE.strip().splitlines()
    for letter, chinese, english in (entry.split() for entry in line[1:].split(","))
}
"""Prefix (province character and letter) -> city or prefecture: (Chinese name, English name)."""
